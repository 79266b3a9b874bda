"""The compact agents: one small network for both maps, flaw types, severities and scores, on a CPU without torch.

    source, current, instruction --> pair_inputs --> network (onnxruntime) --> agents --> typed results
                                         |
    dataset --> samples --> cache (frozen features) --> train (torch) --> export --> weights/

What runs at inference (`pair_inputs`, `words`, `network`, `agents`, `rationale`) imports no torch.
"""
