"""Look at how busy the machine is, and whether it runs on battery. What cannot be read says nothing."""

from pathlib import Path

from modelkeep.domain.pressure import Pressure, average

_PROC, _SYS = Path("/proc"), Path("/sys")


def look_at_pressure(proc: Path = _PROC, sys: Path = _SYS) -> Pressure:
    """Return what the kernel tells; may wait for the controller of a battery."""
    folder = proc / "pressure"
    return Pressure(
        processor=average(_text(folder / "cpu"), "some"),
        disk=average(_text(folder / "io"), "full"),
        memory=average(_text(folder / "memory"), "some"),
        on_battery=_is_on_battery(sys / "class" / "power_supply"),
    )


def _is_on_battery(supplies: Path) -> bool:
    """Return whether the machine's own battery is being emptied (Documentation/ABI/testing/sysfs-class-power)."""
    is_discharging = False
    for supply in sorted(supplies.glob("*")):
        kind = _text(supply / "type")
        if kind == "Mains" and _text(supply / "online") == "1":
            return False
        # That of a mouse or a headset has the scope of a device.
        is_own_battery = kind == "Battery" and _text(supply / "scope") != "Device"
        is_discharging |= is_own_battery and _text(supply / "status") == "Discharging"
    return is_discharging


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
