"""From raw ratings to mean opinion scores: a tool for any subjective study, usable without images.

table, problems = mos.table.read_columns(Path("ratings.csv"))
ratings, rejected = mos.table.code(table, scale=(1, 5))
result = mos.methods.score(ratings)
result.scores, result.raters, result.ledger(), result.summary["warnings"]
"""
