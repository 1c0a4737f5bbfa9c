from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidArgument
from pyswarm.cli import options
from pyswarm.cli.mounts import parse_mount
from pyswarm.cli.ports import parse_publish


def port(target: int, published: int = 0, protocol: str = "tcp", mode: str = "ingress") -> dict[str, object]:
    shown = {"Protocol": protocol, "TargetPort": target, "PublishMode": mode}
    return {**shown, "PublishedPort": published} if published else shown


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("80", [port(80)]),
        ("8080:80", [port(80, 8080)]),
        ("8080:80/UDP", [port(80, 8080, "udp")]),
        ("8000-8002:80-82", [port(80, 8000), port(81, 8001), port(82, 8002)]),
        ("8000-8001:80", [port(80, 8000), port(80, 8001)]),
        ("90-91", [port(90), port(91)]),
        ("target=80", [port(80)]),
        ("published=8080,target=80,protocol=sctp,mode=host", [port(80, 8080, "sctp", "host")]),
        ("Published=0,Target=80", [port(80)]),
    ],
)
def test_ports_are_read_in_both_forms(text, ports):
    assert parse_publish(text) == ports


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a:b", "invalid port 'b': write it like 8080:80"),
        ("", "invalid port ''"),
        ("8080:", "invalid port ''"),
        ("0:80", "invalid port '0'"),
        ("65536:80", "ports from 1 to 65535"),
        ("²:80", "invalid port"),
        ("127.0.0.1:80:80", "hostip is not supported"),
        ("82-80", "it ends before it begins"),
        ("1-3:1-2", "write two of the same length"),
        ("80/icmp", "invalid protocol 'icmp': write tcp, udp, sctp"),
        ("target=80,mode=x", "invalid publish mode 'x': write ingress or host"),
        ("published=80", "missing mandatory field 'target'"),
        ("target=80,foo=1", "invalid field key 'foo': there are protocol, mode, published, target"),
        ('"target=80', "invalid fields"),
    ],
)
def test_a_bad_port_is_refused_with_what_to_write(text, message):
    with pytest.raises(InvalidArgument) as refused:
        parse_publish(text)
    assert message in refused.value.message


def test_mounts_are_read_with_every_option():
    assert parse_mount("type=bind,source=/a,target=/b,readonly,bind-propagation=RSlave,bind-create-src") == {
        "Type": "bind",
        "Source": "/a",
        "Target": "/b",
        "ReadOnly": True,
        "BindOptions": {"Propagation": "rslave", "CreateMountpoint": True},
    }
    assert parse_mount("src=v,dst=/b,volume-label=a=b,volume-driver=d,volume-opt=o=1,volume-opt=p,ro=0") == {
        "Type": "volume",
        "Source": "v",
        "Target": "/b",
        "ReadOnly": False,
        "VolumeOptions": {"Labels": {"a": "b"}, "DriverConfig": {"Name": "d", "Options": {"o": "1", "p": ""}}},
    }
    assert parse_mount('type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=1770,"consistency=a,b"') == {
        "Type": "tmpfs",
        "Target": "/t",
        "Consistency": "a,b",
        "TmpfsOptions": {"SizeBytes": 2**20, "Mode": 0o1770},
    }


def test_a_source_beside_the_working_directory_becomes_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert parse_mount("type=bind,source=./x,target=/x")["Source"] == str(tmp_path / "x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("foo", "unexpected key 'foo': there are type, source"),
        ("type=bind", "target is required: write it like type=bind,source=/on/node,target=/in/container"),
        ("type=npipe,target=/a", "invalid mount type 'npipe': write bind, volume, tmpfs"),
        ("type=bind,target", "invalid field 'target' must be a key=value pair"),
        ("target=/a,readonly=maybe", 'invalid argument "maybe" for readonly: write true or false'),
        ("type=tmpfs,target=/a,tmpfs-mode=9", "invalid tmpfs-mode '9': write it in octal, like 1777"),
        ("type=tmpfs,target=/a,tmpfs-size=x", "invalid size 'x'"),
        ("type=bind,source=/a,target=/b,tmpfs-size=1m", "cannot mix tmpfs-* options with mount type 'bind'"),
    ],
)
def test_a_bad_mount_is_refused_with_what_to_write(text, message):
    with pytest.raises(InvalidArgument) as refused:
        parse_mount(text)
    assert message in refused.value.message


@given(st.text())
def test_any_text_is_a_port_or_a_mount_or_refused(text):
    for parse in (parse_publish, parse_mount):
        with suppress(InvalidArgument):
            assert parse(text)


def test_a_variable_without_a_value_has_the_commands_own(monkeypatch):
    monkeypatch.setenv("HERE", "x=y")
    monkeypatch.delenv("NOT_HERE", raising=False)
    assert options.parse_env("HERE") == "HERE=x=y"
    assert options.parse_env("NOT_HERE") == "NOT_HERE"
    assert options.parse_env("A=") == "A="
    with pytest.raises(InvalidArgument, match="write it like KEY=VALUE"):
        options.parse_env("=x")


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (options.parse_count, "-1", "write it like 3"),
        (options.parse_count, "²", "write it like 3"),
        (options.parse_count, str(2**64), "write it like 3"),
        (options.parse_number, "--1", "write it like 3"),
        (options.parse_command, "a 'b", "close every quote"),
        (options.parse_label, "=x", "empty name"),
        (options.parse_filter, "name", "expected name=value"),
    ],
)
def test_other_bad_values_are_refused_with_what_to_write(parse, text, message):
    with pytest.raises(InvalidArgument) as refused:
        parse(text)
    assert message in refused.value.message


def test_values_are_read():
    assert options.parse_number("-1") == -1
    assert options.parse_command('sh -c "a b"') == ["sh", "-c", "a b"]
    assert options.filters_of([("name", "a"), ("name", "b"), options.parse_filter("Label=x=1")]) == {
        "name": {"a": True, "b": True},
        "label": {"x=1": True},
    }
    assert options.mapping(["a=1", "b", "a=2=3"]) == {"a": "2=3", "b": ""}
