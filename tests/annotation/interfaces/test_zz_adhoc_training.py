from __future__ import annotations
import pytest, json
from annotation.campaign.candidates import _training
from annotation.campaign.gold_pairs import GoldPair
from annotation.campaign.qualification import Answer
from annotation.campaign.tasks import TaskKey
from annotation.records import *
pytestmark = [pytest.mark.studio]
def test_it(give, picture, page):
    path, size = picture
    w, h = size
    mark = Mark("a-12345678", "artifact", Box(w*.2, h*.2, w*.6, h*.6), (Disk(w*.4, h*.4),), "face", "minor", "The <b>nose</b> melts for $5 $instruction.")
    truth = Answer((mark,), {"perceptual_quality": 2.5, "instruction_following": 4, "visual_consistency": 3.75})
    pair = Pair("p", "p", path, path, "Do.", "", "", "", "", Place("", 0))
    spec = _training(TaskKey("qualification", "p", "ann", 0), GoldPair(pair, size, truth, "Look at the nose."))
    interface_names = {"box","disk","flaw_type","severity","no_flaw",*DIMENSIONS}
    desk, exported = give("qualification", path, size, spec.predictions[0]["result"], **spec.data)
    page.screenshot(path="/tmp/training.png")
    page.keyboard.press("Control+Enter"); page.wait_for_timeout(3000)
    page.screenshot(path="/tmp/training2.png")
    done = exported()
    print("SUBMITTED", json.dumps([ (r.get("from_name"), r["value"] if r.get("type")=="number" else r.get("type")) for a in done["annotations"] for r in a["result"]]))
    desk, exported = give("qualification", path, size, None, lesson="")
    page.screenshot(path="/tmp/goldtask.png")
