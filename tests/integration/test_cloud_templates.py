"""The emulator reads CloudFormation templates with a parser in C, and reads the same."""

from __future__ import annotations

import pytest
import yaml
from ministack.services.cloudformation import engine

from infrastructure.template import TEMPLATE
from local import cloud_templates

DATES = "Version: 2012-10-17\nName: !GetAtt Function.Arn\nText: !Sub ${AWS::Region}-a\n"


@pytest.mark.parametrize("text", [TEMPLATE.read_text(encoding="utf-8"), DATES], ids=["ours", "dates"])
def test_a_template_is_read_as_by_the_emulator(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    own = engine._parse_template(text)
    monkeypatch.setattr(engine, "CfnLoader", engine.CfnLoader)
    cloud_templates.install()
    assert issubclass(engine.CfnLoader, yaml.CSafeLoader), "the emulator's place has moved"
    assert engine._parse_template(text) == own
