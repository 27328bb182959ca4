# The mixed model: one design per cell type, its genes in chunks, one table per cell type.


rule design:
    input:
        cells="<results>/cells/{cell_type}.h5ad",
        samples="<results>/cohort/samples.tsv",
    output:
        design="<results>/design/{cell_type}.npz",
        explain="<results>/design/{cell_type}.json",
    log:
        "<logs>/design/{cell_type}.log",
    benchmark:
        "<benchmarks>/design/{cell_type}.tsv"
    conda:
        "../../envs/nestde.yaml"
    threads: 1
    resources:
        mem_mb=STUDY.memory("design"),
        runtime=by_input(10, 0.01),
    params:
        version=VERSION,
        cell_type=STUDY.name_of,
        settings=STUDY.settings("model"),
    shell:
        "nestde design --settings {params.settings:q} --cell-type {params.cell_type:q}"
        " --samples {input.samples:q} --cells {input.cells:q} --out {output.design:q} --explain {output.explain:q} > {log:q} 2>&1"


# Its output, the fits and the moderated tests are kept: another rate or headline starts from them.
rule kernels:
    output:
        "<results>/kernels.txt",
    log:
        "<logs>/kernels.log",
    benchmark:
        "<benchmarks>/kernels.tsv"
    conda:
        "../../envs/nestde.yaml"
    threads: 1
    resources:
        mem_mb=STUDY.memory("kernels"),
        runtime=by_input(10, 0),
    params:
        version=VERSION,
        settings=STUDY.settings("model"),
    shell:
        "nestde kernels --settings {params.settings:q} --out {output:q} > {log:q} 2>&1"


rule statistics:
    input:
        matrix="<results>/matrix/{cell_type}.h5ad",
        cells="<results>/cells/{cell_type}.h5ad",
        samples="<results>/cohort/admitted.tsv",
    output:
        statistics="<results>/statistics/{cell_type}.npz",
        drawn="<results>/statistics/{cell_type}.h5ad",
    log:
        "<logs>/statistics/{cell_type}.log",
    benchmark:
        "<benchmarks>/statistics/{cell_type}.tsv"
    conda:
        "../../envs/nestde.yaml"
    threads: 1
    resources:
        mem_mb=STUDY.memory("statistics"),
        runtime=by_input(60, 0.02),
    params:
        version=VERSION,
        cellwise=STUDY.cellwise,
        settings=STUDY.settings("seed", "model.family", "inference.crosscheck_genes"),
    shell:
        "nestde statistics --settings {params.settings:q} --cellwise {params.cellwise:q}"
        " --samples {input.samples:q} --cells {input.cells:q} --matrix {input.matrix:q} --threads {threads}"
        " --out {output.statistics:q} --drawn {output.drawn:q} > {log:q} 2>&1"


rule fit:
    input:
        # of no matter to the result: only to be there first
        kernels="<results>/kernels.txt",
        design="<results>/design/{cell_type}.npz",
        statistics="<results>/statistics/{cell_type}.npz",
    output:
        "<results>/fit/{cell_type}/{scatteritem}.tsv",
    log:
        "<logs>/fit/{cell_type}/{scatteritem}.log",
    benchmark:
        "<benchmarks>/fit/{cell_type}/{scatteritem}.tsv"
    conda:
        "../../envs/nestde.yaml"
    threads: 1
    resources:
        mem_mb=STUDY.memory("fit"),
        runtime=by_input(120, 0.05),
    params:
        version=VERSION,
        settings=STUDY.settings("model", "inference.p_value"),
    shell:
        "nestde fit --settings {params.settings:q}"
        " --design {input.design:q} --statistics {input.statistics:q} --chunk {wildcards.scatteritem:q}"
        " --threads {threads} --out {output:q} > {log:q} 2>&1"


rule moderate:
    input:
        # of no matter to the result: only to be there first
        kernels="<results>/kernels.txt",
        design="<results>/design/{cell_type}.npz",
        statistics="<results>/statistics/{cell_type}.npz",
    output:
        table="<results>/moderated/{cell_type}.tsv",
        prior="<results>/prior/{cell_type}.tsv",
        reasons="<results>/prior/{cell_type}.json",
    log:
        "<logs>/moderate/{cell_type}.log",
    benchmark:
        "<benchmarks>/moderate/{cell_type}.tsv"
    conda:
        "../../envs/nestde.yaml"
    threads: 1
    resources:
        mem_mb=STUDY.memory("moderate"),
        runtime=by_input(60, 0.5),
    params:
        version=VERSION,
        settings=STUDY.settings("model"),
    shell:
        "nestde moderate --settings {params.settings:q} --design {input.design:q}"
        " --statistics {input.statistics:q} --threads {threads}"
        " --out {output.table:q} --prior {output.prior:q} --reasons {output.reasons:q} > {log:q} 2>&1"


rule calibrate:
    input:
        # of no matter to the result: only to be there first
        kernels="<results>/kernels.txt",
        design="<results>/design/{cell_type}.npz",
        statistics="<results>/statistics/{cell_type}.npz",
    output:
        table="<results>/calibration/{cell_type}.tsv",
        genes="<results>/calibration/{cell_type}.genes.tsv",
        about="<results>/calibration/{cell_type}.json",
    log:
        "<logs>/calibrate/{cell_type}.log",
    benchmark:
        "<benchmarks>/calibrate/{cell_type}.tsv"
    conda:
        "../../envs/nestde.yaml"
    threads: 1
    resources:
        mem_mb=STUDY.memory("calibrate"),
        runtime=by_input(60, 5),
    params:
        version=VERSION,
        settings=STUDY.settings(
            "seed", "model", "inference.p_value", "inference.fdr", "calibration"
        ),
    shell:
        "nestde calibrate --settings {params.settings:q} --design {input.design:q}"
        " --statistics {input.statistics:q} --threads {threads}"
        " --out {output.table:q} --genes {output.genes:q} --about {output.about:q} > {log:q} 2>&1"


rule gather:
    input:
        genes=expand(
            "<results>/matrix/{cell_type}.genes.tsv", cell_type=STUDY.cell_types
        ),
        fits=expand(
            gather.genes("<results>/fit/{{cell_type}}/{scatteritem}.tsv"),
            cell_type=STUDY.cell_types,
        ),
        moderated=expand(
            "<results>/moderated/{cell_type}.tsv", cell_type=STUDY.cell_types
        ),
    output:
        tables=expand("<results>/de/{cell_type}.tsv", cell_type=STUDY.cell_types),
        parquet=expand("<results>/de/{cell_type}.parquet", cell_type=STUDY.cell_types),
        summary="<results>/summary.tsv",
    log:
        "<logs>/gather.log",
    benchmark:
        "<benchmarks>/gather.tsv"
    conda:
        "../../envs/nestde.yaml"
    threads: 1
    resources:
        mem_mb=STUDY.memory("gather"),
        runtime=by_input(20, 0.1),
    params:
        version=VERSION,
        settings=STUDY.settings(
            "model", "inference.p_value", "inference.fdr", "cell_types"
        ),
    shell:
        "nestde gather --settings {params.settings:q} --genes {input.genes:q} --fits {input.fits:q}"
        " --moderated {input.moderated:q} --out {output.tables:q} --parquet {output.parquet:q}"
        " --summary {output.summary:q} > {log:q} 2>&1"


rule crosscheck:
    input:
        design="<results>/design/{cell_type}.npz",
        cells="<results>/cells/{cell_type}.h5ad",
        drawn="<results>/statistics/{cell_type}.h5ad",
        fits=gather.genes("<results>/fit/{{cell_type}}/{scatteritem}.tsv"),
    output:
        "<results>/crosscheck/{cell_type}.tsv",
    log:
        "<logs>/crosscheck/{cell_type}.log",
    benchmark:
        "<benchmarks>/crosscheck/{cell_type}.tsv"
    conda:
        "../../envs/nestde.yaml"
    threads: 1
    resources:
        mem_mb=STUDY.memory("crosscheck"),
        runtime=by_input(60, 0.05),
    params:
        version=VERSION,
        settings=STUDY.settings(
            "seed",
            "model",
            "inference.crosscheck_genes",
            "inference.crosscheck_tolerance",
        ),
    shell:
        "nestde crosscheck --settings {params.settings:q}"
        " --design {input.design:q} --cells {input.cells:q} --drawn {input.drawn:q} --fits {input.fits:q}"
        " --out {output:q} > {log:q} 2>&1"


rule also:
    input:
        design="<results>/design/{cell_type}.npz",
        matrix="<results>/matrix/{cell_type}.h5ad",
        genes="<results>/matrix/{cell_type}.genes.tsv",
        cells="<results>/cells/{cell_type}.h5ad",
    output:
        "<results>/also/{family}/{cell_type}.tsv",
    log:
        "<logs>/also/{family}/{cell_type}.log",
    benchmark:
        "<benchmarks>/also/{family}/{cell_type}.tsv"
    conda:
        "../../envs/nestde.yaml"
    threads: 4
    resources:
        mem_mb=STUDY.memory("also"),
        runtime=by_input(120, 2),
    params:
        version=VERSION,
        settings=STUDY.settings("model"),
        cell_type=STUDY.name_of,
    shell:
        "nestde also --settings {params.settings:q} --family {wildcards.family:q}"
        " --cell-type {params.cell_type:q} --design {input.design:q} --genes {input.genes:q}"
        " --cells {input.cells:q} --matrix {input.matrix:q} --threads {threads}"
        " --out {output:q} > {log:q} 2>&1"


rule composition:
    input:
        samples="<results>/cohort/samples.tsv",
        ledgers=expand("<results>/qc/{sample}.json", sample=STUDY.samples),
    output:
        tests="<results>/composition/tests.tsv",
        shares="<results>/composition/shares.tsv",
        about="<results>/composition/about.json",
    log:
        "<logs>/composition.log",
    benchmark:
        "<benchmarks>/composition.tsv"
    conda:
        "../../envs/nestde.yaml"
    threads: 1
    resources:
        mem_mb=STUDY.memory("composition"),
        runtime=by_input(10, 0.1),
    params:
        version=VERSION,
        settings=STUDY.settings("model"),
    shell:
        "nestde composition --settings {params.settings:q} --samples {input.samples:q} --ledgers {input.ledgers:q}"
        " --out {output.tests:q} --shares {output.shares:q} --about {output.about:q} > {log:q} 2>&1"


rule enrich:
    input:
        # of no matter to the result: only to be there first
        kernels="<results>/kernels.txt",
        design="<results>/design/{cell_type}.npz",
        statistics="<results>/statistics/{cell_type}.npz",
        genes="<results>/matrix/{cell_type}.genes.tsv",
        gene_sets=STUDY.gene_sets,
    output:
        "<results>/enrich/{cell_type}.tsv",
    log:
        "<logs>/enrich/{cell_type}.log",
    benchmark:
        "<benchmarks>/enrich/{cell_type}.tsv"
    conda:
        "../../envs/nestde.yaml"
    threads: 1
    resources:
        mem_mb=STUDY.memory("enrich"),
        runtime=by_input(60, 5),
    params:
        version=VERSION,
        cell_type=STUDY.name_of,
        settings=STUDY.settings("seed", "model", "inference", "calibration", "enrich"),
    shell:
        "nestde enrich --settings {params.settings:q} --cell-type {params.cell_type:q} --design {input.design:q}"
        " --statistics {input.statistics:q} --genes {input.genes:q} --gene-sets {input.gene_sets:q}"
        " --threads {threads} --out {output:q} > {log:q} 2>&1"
