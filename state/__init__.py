"""Facts on disk: records, journal, notebook, config, sessions and the read model. Imports nothing else of ours."""
