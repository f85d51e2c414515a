"""What was wrong with a machine is in every report."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from birdedge.benchmarks.energy import find_meter
from birdedge.benchmarks.environment import Environment, look

Make = Callable[..., Environment]


def test_a_quiet_machine_gives_no_warning(environment_of: Make) -> None:
    assert environment_of().warnings() == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"busy": 0.4}, "others used 40% of the processor after the run"),
        ({"celsius": 84.0}, "the processor had 84 degrees after the run"),
        ({"throttling": ("it is throttled",)}, "it is throttled (after the run)"),
        ({"megahertz": (1500.0, 1200.0)}, "the processor's frequency fell to 62% during the run"),
    ],
)
def test_one_that_is_not_says_why(
    environment_of: Make, change: dict[str, object], told: str
) -> None:
    quiet = environment_of()
    worse = environment_of(after=quiet.before.model_copy(update=change))

    assert worse.warnings() == [told]


def test_a_governor_that_saves_power_is_told(environment_of: Make) -> None:
    told = environment_of(governor="powersave").warnings()
    assert told == ["the frequency governor is 'powersave'"]


def test_this_machine_is_described() -> None:
    found = look()

    assert found.cores >= 1
    assert found.memory_megabytes > 100
    assert found.packages["onnxruntime"]
    assert 0 <= found.before.busy <= 1
    assert Environment.model_validate_json(found.model_dump_json()) == found


def test_a_raspberry_pi_is_described_by_its_own_files(tmp_path: Path) -> None:
    files = {
        "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
        "proc/cpuinfo": "Features\t: fp asimd evtstrm aes asimddp\n",
        "sys/devices/system/cpu/cpufreq/policy0/scaling_governor": "ondemand\n",
        "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
        "sys/class/thermal/thermal_zone0/temp": "61250\n",
        "sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = look(tmp_path)

    assert found.processor == "Raspberry Pi 5 Model B Rev 1.0"
    assert found.features == ("asimd", "asimddp")
    assert found.governor == "ondemand"
    assert found.before.celsius == 61.25
    assert any("power supply is too weak" in warning for warning in found.warnings())


def rapl(root: Path, microjoules: int) -> None:
    zone = root / "sys/class/powercap/intel-rapl:0"
    zone.mkdir(parents=True, exist_ok=True)
    (zone / "max_energy_range_uj").write_text("1000000000\n")
    (zone / "energy_uj").write_text(f"{microjoules}\n")


def test_a_processors_meter_counts_on_when_it_begins_anew(tmp_path: Path) -> None:
    rapl(tmp_path, 998_000_000)
    meter = find_meter(tmp_path)
    assert meter is not None and meter.source == "RAPL"
    rapl(tmp_path, 999_000_000)
    assert meter.joules() == pytest.approx(1.0)
    rapl(tmp_path, 2_000_000)

    assert meter.joules() == pytest.approx(4.0)


def test_a_sensors_power_is_summed_over_time(tmp_path: Path) -> None:
    sensor = tmp_path / "sys/class/hwmon/hwmon3"
    sensor.mkdir(parents=True)
    (sensor / "name").write_text("ina219\n")
    (sensor / "power1_input").write_text("4000000\n")
    meter = find_meter(tmp_path)
    assert meter is not None and meter.source == "INA219"
    start = time.monotonic()
    # The load is over when the question is asked.
    (sensor / "power1_input").write_text("10000000\n")
    time.sleep(0.5)
    loaded = time.monotonic() - start
    (sensor / "power1_input").write_text("2000000\n")
    joules = meter.joules()
    (sensor / "power1_input").unlink()

    assert joules is not None and 0.8 * 10 * loaded < joules < 1.2 * 10 * loaded + 0.1
    assert meter.joules() is None, "it was pulled out"


def test_without_a_meter_there_is_none(tmp_path: Path) -> None:
    zone = tmp_path / "sys/class/powercap/intel-rapl:0"
    zone.mkdir(parents=True)
    assert find_meter(tmp_path) is None
