"""Export a built dataset: COCO for detectors, preference pairs with the columns of Pick-a-Pic for reward models.

Each format has a `plan_*` function, which reads no image, and a `write_*` function, which writes a plan to a folder.
"""
