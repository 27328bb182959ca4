# The study: nestde's workflow, with this folder's config/ and results/.
# Rules can be changed or added below without touching workflow/ (see Snakemake's documentation on modules).
configfile: "config/config.yaml"


module nestde:
    snakefile:
        "workflow/Snakefile"
    config:
        config


use rule * from nestde
