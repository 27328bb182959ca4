"""From the cells as they come to matrices: ingest, quality control, gene-major counts, pseudobulk profiles."""
