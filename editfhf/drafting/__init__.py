"""Drafts: first descriptions of flawed regions, by a vision-language model, for reviewers to agree with or to replace.

Regions that need a draft (`selection`, `plan`), what is sent to the model (`pair_images`, `prompt`, `requests`), what
is accepted of its reply (`reply`), the files (`drafts_file`), the run (`loop`, `run`), and the quality of drafts
(`checks`, `report`).
"""
