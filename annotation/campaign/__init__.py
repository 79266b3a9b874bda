"""A campaign: people annotate a corpus in Label Studio, and every submission ends in one archive.

Read the modules from the bottom up; imports go in this direction only (`pyproject.toml` checks it).

- `options`, `corpus_rules`, `drafts`, `model`: the options with the participants, the rules of a corpus, drafts of
  texts, and the data types of a campaign.
- `archive`, `state_files`, `gold_file`, `prompt_check`, `studio_tasks`: the files in the campaign's folder, and the
  content of Label Studio tasks.
- `answers`, `read_record`: which submissions count, and the record of the campaign that follows from them.
- `quality`, `gold`: agreement between annotators, tasks to redo, qualification of candidates, hidden gold.
- `planning`: who does what, whose turn it is, and which tasks should exist now.
- `sync`: read the server into the archive and create the missing tasks.
- `status`: progress, pace and agreement as a table, as JSON or as a page.
- `write_exports`, `refined_corpus`: exports for `editfhf build`, and the corpus of the next campaign.
"""
