"""First descriptions of flawed regions, written by a vision-language model before people review them.

Which regions need one (`selection`, `plan`), what the model is shown and asked (`numbered`, `shown`, `prompt`,
`requests`), what counts of its reply (`reply`), what is kept (`drafts_file`), the loop (`work`), and how good the
drafts are (`checks`, `report`).
"""
