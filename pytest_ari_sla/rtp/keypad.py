"""The telephone's keypad: which two tones each DTMF digit is made of (ITU-T Q.23)."""

from __future__ import annotations

__all__ = ["COLUMNS_HZ", "KEYPAD", "ROWS_HZ"]

KEYPAD = "123A456B789C*0#D"
"""The digits, row by row."""

ROWS_HZ = (697, 770, 852, 941)
COLUMNS_HZ = (1209, 1336, 1477, 1633)
