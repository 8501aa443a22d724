"""The list of peers, queue, requests and sessions: one canvas that draws only the visible rows.

list        the widget: rows in, callbacks out; binds pointer and keyboard to the parts below
selection   which rows are selected, and which one has the keyboard
scroll      which part of the rows is visible, and the scroll bar
row         what a row shows
draw        draws the visible rows into recycled canvas items
slot        the canvas items of one row
empty       what a list without rows shows
keyboard    the keys
drag        moving a row with the pointer
"""

from phaselock.ui.widgets.rows.list import RowList
from phaselock.ui.widgets.rows.row import Row

__all__ = ["Row", "RowList"]
