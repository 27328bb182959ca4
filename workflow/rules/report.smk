# What a person reads, and what proves where it came from.


rule summary:
    input:
        check="<results>/cohort/check.json",
        samples="<results>/cohort/samples.tsv",
        ledgers=expand("<results>/qc/{sample}.json", sample=STUDY.samples),
        tables=expand("<results>/de/{cell_type}.tsv", cell_type=STUDY.cell_types),
        counts="<results>/summary.tsv",
        designs=expand("<results>/design/{cell_type}.json", cell_type=STUDY.cell_types),
        priors=expand("<results>/prior/{cell_type}.tsv", cell_type=STUDY.cell_types),
        reasons=expand("<results>/prior/{cell_type}.json", cell_type=STUDY.cell_types),
        calibrations=expand(
            "<results>/calibration/{cell_type}.tsv", cell_type=STUDY.cell_types
        ),
        relabellings=expand(
            "<results>/calibration/{cell_type}.json", cell_type=STUDY.cell_types
        ),
        crosschecks=expand(
            "<results>/crosscheck/{cell_type}.tsv", cell_type=STUDY.cell_types
        ),
        also=expand(
            "<results>/also/{family}/{cell_type}.tsv",
            family=STUDY.also,
            cell_type=STUDY.cell_types,
        ),
        composition=[
            "<results>/composition/tests.tsv",
            "<results>/composition/shares.tsv",
            "<results>/composition/about.json",
        ],
        pseudobulk=[
            STUDY.on_request("<results>/pseudobulk/{cell_type}.tsv"),
            STUDY.on_request("<results>/pseudobulk/{cell_type}.de.tsv"),
            STUDY.on_request("<results>/pseudobulk/{cell_type}.json"),
        ],
        enrich=STUDY.on_request("<results>/enrich/{cell_type}.tsv"),
    output:
        directory("<results>/report/content"),
    log:
        "<logs>/summary.log",
    benchmark:
        "<benchmarks>/summary.tsv"
    conda:
        "../../envs/nestde.yaml"
    threads: 1
    resources:
        mem_mb=STUDY.memory_of_summary,
        runtime=by_input(20, 0.1),
    params:
        version=VERSION,
        settings=STUDY.settings(),
        results=subpath(input.counts, parent=True),
    shell:
        "nestde summary --settings {params.settings:q} --results {params.results:q}"
        " --out {output:q} > {log:q} 2>&1"


rule multiqc:
    input:
        "<results>/report/content",
    output:
        "<results>/report/multiqc.html",
    log:
        "<logs>/multiqc.log",
    benchmark:
        "<benchmarks>/multiqc.tsv"
    conda:
        "../../envs/multiqc.yaml"
    threads: 1
    resources:
        mem_mb=STUDY.memory("multiqc"),
        runtime=by_input(20, 0.1),
    params:
        version=made_with("multiqc"),
        folder=subpath(output[0], parent=True),
        name=subpath(output[0], basename=True),
    shell:
        "multiqc {input:q} --config {input:q}/multiqc_config.yaml --force --no-data-dir"
        " --outdir {params.folder:q} --filename {params.name:q} > {log:q} 2>&1"


rule manifest:
    input:
        data=ancient([*STUDY.inputs, *STUDY.gene_sets]),
        results=STUDY.results("<results>"),
        report="<results>/report/multiqc.html",
    output:
        manifest="<results>/manifest.json",
        crate="<results>/ro-crate-metadata.json",
        workflow=directory("<results>/workflow"),
    log:
        "<logs>/manifest.log",
    benchmark:
        "<benchmarks>/manifest.tsv"
    conda:
        "../../envs/nestde.yaml"
    threads: 1
    resources:
        mem_mb=STUDY.memory_of_manifest,
        runtime=by_input(20, 0.005),
    params:
        version=VERSION,
        inputs=STUDY.stamp,
        settings=STUDY.settings(),
        workflow=near(subpath(str(workflow.current_basedir.path), parent=True)),
    shell:
        "nestde manifest --settings {params.settings:q} --inputs {input.data:q}"
        " --results {input.results:q} --out {output.manifest:q} --workflow {params.workflow:q} > {log:q} 2>&1"
