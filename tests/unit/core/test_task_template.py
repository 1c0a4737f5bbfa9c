"""Templates in a task's spec."""

import dataclasses

import pytest

from core.gotemplate import TemplateError
from core.model import ContainerSpec, Mount, MountType, NodeDescription, Platform, Task, TaskSpec, VolumeOptions
from core.task_template import expand, has_templates

NODE = NodeDescription(hostname="vm1", platform=Platform("x86_64", "linux"))


def task_with(spec: ContainerSpec, slot: int = 3) -> Task:
    labels = {"tier": "front", "a.b": "dotted"}
    return Task(
        id="t1",
        service_id="s1",
        service_name="web",
        slot=slot,
        node_id="n1",
        spec=TaskSpec(container=spec, service_labels=labels),
    )


def expanded(spec: ContainerSpec, slot: int = 3) -> ContainerSpec:
    return expand(task_with(spec, slot), NODE).spec.container


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{.Service.ID}} {{.Service.Name}} {{.Service.Labels.tier}}", "s1 web front"),
        ('{{index .Service.Labels "a.b"}}', "dotted"),
        (
            "{{.Node.ID}} {{.Node.Hostname}} {{.Node.Platform.OS}}/{{.Node.Platform.Architecture}}",
            "n1 vm1 linux/x86_64",
        ),
        ("{{.Task.ID}} {{.Task.Name}} {{.Task.Slot}}", "t1 web.3.t1 3"),
        ('{{join "-" .Service.Name .Task.Slot}}', "web-3"),
        ('{{if eq .Task.Slot "1"}}first{{else}}other{{end}}', "other"),
        ("plain", "plain"),
    ],
)
def test_a_template_names_its_service_node_and_task(template, text):
    assert expanded(ContainerSpec(env=(f"A={template}",))).env == (f"A={text}",)
    assert expanded(ContainerSpec(hostname=template)).hostname == text


def test_the_slot_of_a_global_task_is_its_node():
    assert expanded(ContainerSpec(hostname="{{.Task.Slot}}"), slot=0).hostname == "n1"


def test_mounts_are_filled_in_and_names_of_variables_are_not():
    options = VolumeOptions(labels={"l": "{{.Task.Slot}}"}, driver="nfs", driver_options={"o": "{{.Node.ID}}"})
    mount = Mount(MountType.VOLUME, "data-{{.Task.Slot}}", "/{{.Service.Name}}", volume=options)
    spec = expanded(ContainerSpec(env=("{{A}}", "{{B}}=1"), mounts=(mount,)))
    assert spec.env == ("{{A}}", "{{B}}=1")
    (found,) = spec.mounts
    assert (found.source, found.target) == ("data-3", "/web")
    assert (found.volume.labels, found.volume.driver_options) == ({"l": "3"}, {"o": "n1"})


def test_the_rest_of_the_task_stays():
    task = task_with(ContainerSpec(hostname="{{.Node.ID}}", image="{{.No}}", labels={"a": "{{.No}}"}))
    done = expand(task, NODE)
    container = dataclasses.replace(task.spec.container, hostname="n1")
    assert done == dataclasses.replace(task, spec=dataclasses.replace(task.spec, container=container))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (ContainerSpec(hostname="{{.Nope}}"), "the hostname: can't evaluate field Nope"),
        (ContainerSpec(env=("A={{.Service.Labels.none}}",)), "the environment variable A: can't evaluate field none"),
        (ContainerSpec(hostname="{{.Task.Slot"), "the hostname: unclosed action"),
        (ContainerSpec(hostname="{{env 1}}"), 'the hostname: function "env" not defined'),
        (ContainerSpec(hostname='{{join "-" .Service}}'), "the hostname: error calling join"),
        (ContainerSpec(mounts=(Mount(target="/{{.X}}"),)), "the mount at /{{.X}}: can't evaluate field X"),
        (ContainerSpec(hostname="{{" + "(" * 5000 + ")" * 5000 + "}}"), "the hostname: it is nested too deeply"),
    ],
)
def test_what_is_not_there_is_an_error_that_names_the_place(spec, message):
    with pytest.raises(TemplateError) as refused:
        expanded(spec)
    assert message in refused.value.reason


def test_all_templates_of_a_task_together_may_not_grow_without_end():
    doubling = '{{$x := "0123456789"}}' + "{{$x = print $x $x}}" * 12 + "{{$x}}"
    assert len(expanded(ContainerSpec(hostname=doubling)).hostname) == 40960
    with pytest.raises(TemplateError, match="the environment variable A: it grows beyond"):
        expanded(ContainerSpec(env=(f"A={doubling}",) * 100))
    with pytest.raises(TemplateError, match="the hostname: it grows beyond"):
        expanded(ContainerSpec(hostname='{{$x := printf "%999999s" 1}}{{join $x' + ' ""' * 1000 + "}}"))


def test_only_a_spec_with_templates_has_some():
    assert not has_templates(ContainerSpec(env=("A=1",), mounts=(Mount(volume=VolumeOptions()),), image="{{x}}"))
    assert has_templates(ContainerSpec(env=("A={{x}}",)))
    assert has_templates(ContainerSpec(mounts=(Mount(volume=VolumeOptions(labels={"a": "{{x}}"})),)))
