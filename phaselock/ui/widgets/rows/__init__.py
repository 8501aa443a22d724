"""The list of peers, queue, requests and sessions: one canvas that draws only the visible rows.

list        the widget: rows in, callbacks out; binds pointer and keyboard to the parts below
selection   which rows are selected, and which one has the keyboard
scroll      which part of the rows is visible, and the scroll bar
draw        what a row shows, drawn into recycled canvas items
drag        moving a row with the pointer
"""

from phaselock.ui.widgets.rows.draw import Row
from phaselock.ui.widgets.rows.list import RowList

__all__ = ["Row", "RowList"]
