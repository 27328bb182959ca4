# From the data as they come to the kept cells of each sample: a file of several samples is read once, and sorted by sample, by
# `ingest`; one of a single sample is read by `qc`. Inputs are `ancient`: their content is among the parameters, and what
# was only touched or copied is no reason to do anything again.


rule check:
    input:
        ancient(STUDY.inputs),
    output:
        "<results>/cohort/check.json",
    log:
        "<logs>/check.log",
    benchmark:
        "<benchmarks>/check.tsv"
    conda:
        "../../envs/nestde.yaml"
    threads: 1
    resources:
        mem_mb=STUDY.memory("check"),
        runtime=by_input(10, 0.002),
    params:
        version=VERSION,
        inputs=STUDY.stamp,
        settings=STUDY.settings(
            "samples", "cell_types", "input", "qc", "model", "pseudobulk"
        ),
    shell:
        "nestde check --settings {params.settings:q} --out {output:q} > {log:q} 2>&1"


# The sheet as resolved, which nothing of the configuration changes but where the counts are.
rule sheet:
    input:
        ancient(STUDY.inputs),
    output:
        "<results>/cohort/samples.tsv",
    log:
        "<logs>/sheet.log",
    benchmark:
        "<benchmarks>/sheet.tsv"
    conda:
        "../../envs/nestde.yaml"
    threads: 1
    resources:
        mem_mb=STUDY.memory("admit"),
        runtime=by_input(10, 0.002),
    params:
        version=VERSION,
        inputs=STUDY.stamp_of_sheet,
        settings=STUDY.settings("samples", "input.counts"),
        whole=STUDY.whole,
    shell:
        "nestde check --settings {params.whole:q} --samples-out {output:q} > {log:q} 2>&1"


# Nothing is made of counts before the whole study is found sound. What is made of them does not depend on all that is checked, so
# `whole`, a function of the input, is no reason to do it again; and samples are given on with those covariates alone that say who is
# compared.
rule admit:
    input:
        ancient(STUDY.data),
    output:
        "<results>/cohort/admitted.tsv",
    log:
        "<logs>/admit.log",
    benchmark:
        "<benchmarks>/admit.tsv"
    conda:
        "../../envs/nestde.yaml"
    threads: 1
    resources:
        mem_mb=STUDY.memory("admit"),
        runtime=by_input(10, 0.002),
    params:
        version=VERSION,
        inputs=STUDY.stamp_of_data,
        samples=STUDY.samples_told,
        settings=STUDY.settings("input", "qc"),
        whole=STUDY.whole,
    shell:
        "nestde check --settings {params.whole:q} --admitted {output:q} > {log:q} 2>&1"


rule ingest:
    input:
        data=ancient(STUDY.inputs_of_source),
        samples="<results>/cohort/admitted.tsv",
    output:
        temp("<results>/ingest/{source}.h5ad"),
    log:
        "<logs>/ingest/{source}.log",
    benchmark:
        "<benchmarks>/ingest/{source}.tsv"
    conda:
        "../../envs/nestde.yaml"
    threads: 1
    resources:
        mem_mb=STUDY.memory_of_ingest,
        runtime=by_input(30, 0.01),
    params:
        version=VERSION,
        inputs=STUDY.stamp_of_source,
        settings=STUDY.settings("input"),
    shell:
        "nestde ingest --settings {params.settings:q} --samples {input.samples:q}"
        " --source {wildcards.source:q} --out {output:q} > {log:q} 2>&1"


rule qc:
    input:
        shared=expand("<results>/ingest/{source}.h5ad", source=STUDY.shared_of_job),
        own=ancient(STUDY.own_of_job),
        samples="<results>/cohort/admitted.tsv",
    output:
        # kept: what a cell type that is added later is read from
        counts=STUDY.each_sample("<results>/counts/{sample}.h5ad"),
        cells=STUDY.each_sample("<results>/qc/{sample}.tsv"),
        ledgers=STUDY.each_sample("<results>/qc/{sample}.json"),
    log:
        f"<logs>/qc/{STUDY.qc_job}.log",
    benchmark:
        f"<benchmarks>/qc/{STUDY.qc_job}.tsv"
    conda:
        "../../envs/nestde.yaml"
    threads: 1
    resources:
        mem_mb=STUDY.memory_of_qc,
        runtime=by_input(20, 0.01),
    params:
        version=VERSION,
        inputs=STUDY.stamp_of_job,
        samples=STUDY.samples_of_job,
        settings=STUDY.settings("seed", "input", "qc"),
    shell:
        "nestde qc --settings {params.settings:q} --samples {params.samples:q} --sheet {input.samples:q} --counts {input.shared:q}"
        " --out {output.counts:q} --cells {output.cells:q} --ledgers {output.ledgers:q} > {log:q} 2>&1"
