"""A built dataset in the formats of others: COCO for detectors, pairs with the columns of Pick-a-Pic for rewards.

One module a format, each with `plan(built, ...)`, which reads no picture, and `write(plan, folder, ...)`.
"""
