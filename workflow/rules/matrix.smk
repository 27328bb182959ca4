# From samples to cell types: gene-major matrices for the mixed model, and pseudobulk profiles.


rule matrix:
    input:
        samples="<results>/cohort/admitted.tsv",
        counts=expand("<results>/counts/{sample}.h5ad", sample=STUDY.samples),
    output:
        matrix=temp("<results>/matrix/{cell_type}.h5ad"),
        cells="<results>/cells/{cell_type}.h5ad",
        genes="<results>/matrix/{cell_type}.genes.tsv",
    log:
        "<logs>/matrix/{cell_type}.log",
    benchmark:
        "<benchmarks>/matrix/{cell_type}.tsv"
    conda:
        "../../envs/nestde.yaml"
    threads: 1
    resources:
        mem_mb=STUDY.memory("matrix"),
        runtime=by_input(60, 0.01),
    params:
        version=VERSION,
        # a run that was killed may have left counts of an earlier input
        counted=STUDY.counted,
        compared=STUDY.compared,
        cell_type=STUDY.name_of,
        settings=STUDY.settings(
            "input",
            "genes",
            "model.min_cells",
            "qc.min_cells_per_sample",
        ),
    shell:
        "nestde matrix --settings {params.settings:q} --samples {input.samples:q} --compared {params.compared:q}"
        " --cell-type {params.cell_type:q} --counts {input.counts:q}"
        " --out {output.matrix:q} --cells {output.cells:q} --genes {output.genes:q} > {log:q} 2>&1"


rule pseudobulk:
    input:
        samples="<results>/cohort/admitted.tsv",
        counts=expand("<results>/counts/{sample}.h5ad", sample=STUDY.samples),
    output:
        profiles="<results>/pseudobulk/{cell_type}.h5ad",
        table="<results>/pseudobulk/{cell_type}.tsv",
    log:
        "<logs>/pseudobulk/{cell_type}.log",
    benchmark:
        "<benchmarks>/pseudobulk/{cell_type}.tsv"
    conda:
        "../../envs/nestde.yaml"
    threads: 1
    resources:
        mem_mb=STUDY.memory("pseudobulk"),
        runtime=by_input(30, 0.01),
    params:
        version=VERSION,
        counted=STUDY.counted,
        compared=STUDY.compared,
        cell_type=STUDY.name_of,
        settings=STUDY.settings(
            "input",
            "genes.size_factors",
            "qc.min_cells_per_sample",
            "pseudobulk.min_cells",
            "pseudobulk.min_counts",
        ),
    shell:
        "nestde pseudobulk --settings {params.settings:q} --samples {input.samples:q} --compared {params.compared:q}"
        " --cell-type {params.cell_type:q} --counts {input.counts:q}"
        " --out {output.profiles:q} --table {output.table:q} > {log:q} 2>&1"


rule pseudobulk_de:
    input:
        profiles="<results>/pseudobulk/{cell_type}.h5ad",
        samples="<results>/cohort/samples.tsv",
    output:
        table="<results>/pseudobulk/{cell_type}.de.tsv",
        explore="<results>/pseudobulk/{cell_type}.json",
    log:
        "<logs>/pseudobulk_de/{cell_type}.log",
    benchmark:
        "<benchmarks>/pseudobulk_de/{cell_type}.tsv"
    # a long job that only the report waits for: begun late, it would be the last to end
    priority: 1
    conda:
        "../../envs/nestde.yaml"
    threads: 1
    resources:
        mem_mb=STUDY.memory("pseudobulk_de"),
        runtime=by_input(60, 1),
    params:
        version=VERSION,
        settings=STUDY.settings("model", "pseudobulk", "inference.fdr"),
    shell:
        "nestde pseudobulk-de --settings {params.settings:q} --counts {input.profiles:q} --samples {input.samples:q}"
        " --out {output.table:q} --explore {output.explore:q} > {log:q} 2>&1"
