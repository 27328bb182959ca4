"""What is known of the p-values when samples are few, in sentences that check, report and documentation share."""

FEW_SAMPLES = (
    "With few samples the likelihood-ratio test is too bold, while t and F tests (Satterthwaite, Kenward and Roger, containment) "
    "keep their size but find little: no p-value here is both, so read them beside each other."
)
# 100,000 null genes a design, a fifth of them of intraclass correlation 0, the others' log-normal with a median of 0.03;
# 10 % true differences of 0.3 to 1.2 standard deviations.
MEASURED = (
    "In simulated genes of samples with 10 to 200 cells, null genes had p < 0.05 in 12.4 % by the likelihood ratio, 3.3 % by "
    "Satterthwaite and 0.3 % by Kenward and Roger at 3 v 3 samples; 7.8 %, 4.0 % and 2.5 % at 6 v 6; 6.0 %, 4.5 % and 3.9 % at "
    "12 v 12. Of true differences, at a false discovery rate of 5 %, the likelihood ratio found 65 % at 3 v 3 (19 % of what it "
    "found was false), 83 % at 6 v 6 (10 % false) and 93 % at 12 v 12 (7 % false); Kenward and Roger none, 63 % (1 % false) and "
    "92 % (3 % false)."
)
CALIBRATED_ON_AVERAGE = (
    "This is an average over genes. A p-value that borrows from other genes can be honest for all together, and still too small for "
    "genes whose samples vary more than most, and too large for those that vary less."
)
