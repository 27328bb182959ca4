"""How a study is run: Snakemake, what the rules need, what stands in the folder, the forecast."""
