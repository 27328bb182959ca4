"""What is known of the p-values when samples are few, in sentences that check, report and documentation share."""

FEW_SAMPLES = (
    "With few samples the likelihood-ratio test is too bold, and t and F tests (Satterthwaite, Kenward and Roger, containment) "
    "keep their size but find little; the moderated test, the headline wherever it applies, keeps its size over all genes together "
    "and finds more."
)
# tests/bench/moderated_size.py: 40,000 genes a design, samples of 10 to 200 cells, intraclass correlations as they are mixed in
# tissue (a fifth 0, the others log-normal with a median of 0.03); a tenth differ, by 0.3 to 1.2 standard deviations.
MEASURED = (
    "In simulated genes of samples with 10 to 200 cells, null genes had p < 0.05 in 5.2 % by the moderated test, 10.6 % by the "
    "likelihood ratio, 2.8 % by Satterthwaite and 0.8 % by Kenward and Roger at 3 v 3 samples; 5.0 %, 7.4 %, 4.3 % and 4.1 % at 6 v 6; "
    "5.0 %, 6.0 %, 4.2 % and 4.1 % at 12 v 12. Of true differences, at a false discovery rate of 5 %, the moderated test found 56 % "
    "at 3 v 3 (5 % of what it found was false), 86 % at 6 v 6 (5 %) and 95 % at 12 v 12 (4 %); the likelihood ratio 70 % (18 % false), "
    "87 % (9 %) and 95 % (6 %)."
)
CALIBRATED_ON_AVERAGE = (
    "This is an average over genes. A p-value that borrows from other genes can be honest for all together, and still too small for "
    "genes whose samples vary more than most, and too large for those that vary less."
)
