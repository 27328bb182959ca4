# From samples to cell types: gene-major matrices for the mixed model, and pseudobulk profiles.


rule matrix:
    input:
        samples="<results>/cohort/samples.tsv",
        counts=expand("<results>/counts/{sample}.h5ad", sample=STUDY.samples),
    output:
        matrix=temp("<results>/matrix/{cell_type}.h5ad"),
        genes="<results>/matrix/{cell_type}.genes.tsv",
    log:
        "<logs>/matrix/{cell_type}.log",
    benchmark:
        "<benchmarks>/matrix/{cell_type}.tsv"
    conda:
        "../../envs/nestde.yaml"
    threads: 1
    resources:
        mem_mb=by_input(1000, 1),
        runtime=by_input(60, 0.01),
    params:
        version=VERSION,
        settings=STUDY.settings("input", "genes", "model", "qc", "cell_types"),
    shell:
        "nestde matrix --settings {params.settings:q} --samples {input.samples:q}"
        " --cell-type {wildcards.cell_type:q} --counts {input.counts:q}"
        " --out {output.matrix:q} --genes {output.genes:q} > {log:q} 2>&1"


rule pseudobulk:
    input:
        samples="<results>/cohort/samples.tsv",
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
        mem_mb=by_input(1000, 0.5),
        runtime=by_input(30, 0.01),
    params:
        version=VERSION,
        settings=STUDY.settings(
            "input",
            "genes.size_factors",
            "qc",
            "model",
            "pseudobulk",
            "cell_types",
        ),
    shell:
        "nestde pseudobulk --settings {params.settings:q} --samples {input.samples:q}"
        " --cell-type {wildcards.cell_type:q} --counts {input.counts:q}"
        " --out {output.profiles:q} --table {output.table:q} > {log:q} 2>&1"


rule pseudobulk_de:
    input:
        "<results>/pseudobulk/{cell_type}.h5ad",
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
        mem_mb=by_input(1500, 20),
        runtime=by_input(60, 1),
    params:
        version=VERSION,
        settings=STUDY.settings("model", "pseudobulk", "inference.fdr"),
    shell:
        "nestde pseudobulk-de --settings {params.settings:q} --counts {input:q}"
        " --out {output.table:q} --explore {output.explore:q} > {log:q} 2>&1"
