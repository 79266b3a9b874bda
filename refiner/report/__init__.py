"""The page of one refinement: before and after, maps, regions, plan, scores and stop, in one file."""
