"""Secrets and configs that are templates."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from core.gotemplate import TemplateError
from core.model import (
    Config,
    ConfigReference,
    ConfigSpec,
    ContainerSpec,
    Dependency,
    FileTarget,
    NodeDescription,
    Secret,
    SecretReference,
    SecretSpec,
    Task,
    TaskSpec,
)
from core.model.dependencies import key_of
from tests.support.tasks import make_task
from worker.payload import MAX_SIZE, expand_payload

NODE = NodeDescription(hostname="host-1")
PASSWORD = Secret(id="s1", spec=SecretSpec(name="password", data=b"hidden {{words}}"))


def config(data: str | bytes) -> Config:
    data = data.encode() if isinstance(data, str) else data
    return Config(id="c1", spec=ConfigSpec(name="site", data=data, templating="golang"))


def task() -> Task:
    container = ContainerSpec(
        env=("MODE=fast", "EMPTY"),
        secrets=(SecretReference("s1", "password", FileTarget("pw")),),
        configs=(ConfigReference("c1", "site", FileTarget("/site")),),
    )
    return replace(make_task(), spec=TaskSpec(container=container))


def expanded(item: Dependency, held: Sequence[Dependency] = (PASSWORD,)) -> bytes:
    return expand_payload(item, task(), NODE, {key_of(other): other for other in held})


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("plain", b"plain"),
        ("{{.Service.Name}}.{{.Task.Slot}} on {{.Node.Hostname}}", b"web.1 on host-1"),
        ('{{env "MODE"}}|{{env "EMPTY"}}|{{env "NONE"}}', b"fast||"),
        ('pw={{secret "pw"}}', b"pw=hidden {{words}}"),
        ('{{if eq (env "MODE") "fast"}}-O3{{end}}', b"-O3"),
    ],
)
def test_a_template_may_name_what_a_services_may_and_other_secrets(text: str, wanted: bytes) -> None:
    assert expanded(config(text)) == wanted


def test_another_config_is_named_by_its_target() -> None:
    other = Config(id="c1", spec=ConfigSpec(name="site", data=b"the site"))
    assert expanded(config('{{config "/site"}}'), [other]) == b"the site"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("{{", "config site: "),
        ("{{.Nosuch}}", "config site: .*Nosuch"),
        ('{{secret "other"}}', "config site: nothing of the task has the target it asks for: there is pw"),
        ('{{config "pw"}}', "nothing of the task has the target it asks for: there is none"),
        (b"\xff", "config site: it is not UTF-8"),
        (r'{{"\ud800"}}', "config site: unreadable string"),
    ],
)
def test_what_is_wrong_with_a_config_is_said(data: str | bytes, reason: str) -> None:
    with pytest.raises(TemplateError, match=reason):
        expanded(config(data))


@pytest.mark.parametrize(
    "text",
    [
        '{{index (secret "pw") 0}}',
        '{{range secret "pw"}}{{end}}',
        '{{(secret "pw").Foo}}',
        '{{secret (secret "pw")}}',
        '{{config (secret "pw")}}',
        '{{join (secret "pw") 1 2}}',
        '{{index .Service.Labels (secret "pw") "x"}}',
    ],
)
def test_what_is_wrong_with_a_config_tells_no_secret_it_names(text: str) -> None:
    with pytest.raises(TemplateError) as error:
        expanded(config(text))
    assert "hidden" not in str(error.value)


def test_a_secret_that_is_no_text_is_said_to_be_so_without_a_byte_of_it() -> None:
    binary = replace(PASSWORD, spec=replace(PASSWORD.spec, data=b"ab\xfe"))
    with pytest.raises(TemplateError) as error:
        expanded(config('{{secret "pw"}}'), [binary])
    assert error.value.reason == "config site: secret password, which it asks for, is not UTF-8"


@pytest.mark.parametrize("data", [b"{{hidden}}", b"{{.Hidden}}", b"hidden \xff", b'{{secret "hidden"}}'])
def test_what_is_wrong_with_a_secret_is_not(data: bytes) -> None:
    secret = Secret(id="s1", spec=SecretSpec(name="password", data=data, templating="golang"))
    with pytest.raises(TemplateError) as error:
        expanded(secret)
    assert error.value.reason == "secret password: malformed, or names what is not there"


def test_a_template_may_not_grow_without_end() -> None:
    big = replace(PASSWORD, spec=replace(PASSWORD.spec, data=b"x" * (MAX_SIZE // 2 + 1)))
    with pytest.raises(TemplateError, match="grows beyond"):
        expanded(config('{{secret "pw"}}{{secret "pw"}}'), [big])
