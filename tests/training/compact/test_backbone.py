"""The backbone against what it was trained for: the classes of ImageNet."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from skimage import data
from torch.nn import functional

from training.compact.backbone import Backbone, fold_backbone_weights, read_pretrained_weights


@pytest.mark.parametrize(("photo", "number"), [("chelsea", 285), ("coffee", 967)])
def test_its_features_know_a_cat_and_an_espresso(photo: str, number: int) -> None:
    original = read_pretrained_weights()
    image = cv2.resize(getattr(data, photo)(), (384, 320), interpolation=cv2.INTER_AREA)
    with torch.no_grad():
        coarse = Backbone(fold_backbone_weights(original))(torch.from_numpy(np.ascontiguousarray(image))[None])[2]
        mean, variance = original["_bn1.running_mean"], original["_bn1.running_var"]
        head = functional.conv2d(coarse, original["_conv_head.weight"])
        normed = functional.batch_norm(head, mean, variance, original["_bn1.weight"], original["_bn1.bias"], eps=1e-3)
        logits = functional.relu6(normed).mean((2, 3)) @ original["_fc.weight"].T + original["_fc.bias"]
    assert int(logits.argmax()) == number  # Egyptian cat, espresso
