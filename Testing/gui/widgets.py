"""Stand-ins for the widgets of the panel, made from the .ui file: values, signals, and nothing on a screen.

A property or method that is not here raises AttributeError, so that a name which the panel invents does not pass.
"""

from __future__ import annotations

from types import SimpleNamespace
from xml.etree import ElementTree


class Signal:
    """Calls what is connected."""

    def __init__(self) -> None:
        self._slots = []

    def connect(self, slot) -> None:
        self._slots.append(slot)

    def disconnect(self, slot) -> None:
        self._slots.remove(slot)

    def emit(self, *values) -> None:
        for slot in list(self._slots):
            slot(*values)


class Widget:
    """QWidget and QObject."""

    signals: tuple[str, ...] = ()
    properties: dict[str, object] = {}

    def __init__(self) -> None:
        self._blocked = False
        self._signals = {name: Signal() for kind in type(self).__mro__ for name in getattr(kind, "signals", ())}
        for kind in reversed(type(self).__mro__):
            for name, value in getattr(kind, "properties", {}).items():
                self.__dict__[name] = value

    def __getattr__(self, name: str):
        signals = self.__dict__.get("_signals", {})
        if name in signals:
            return signals[name]
        raise AttributeError(f"{type(self).__name__} has no {name}")

    def __setattr__(self, name: str, value) -> None:
        known = name.startswith("_") or name in self.__dict__ or hasattr(type(self), name)
        if "_signals" in self.__dict__ and not known:
            raise AttributeError(f"{type(self).__name__} has no property {name}")
        super().__setattr__(name, value)

    def connect(self, signature: str, slot) -> None:
        self._signals[signature.split("(")[0]].connect(slot)

    def parent(self) -> None:
        return None

    def blockSignals(self, blocked: bool) -> bool:
        was, self._blocked = self._blocked, blocked
        return was

    def _emit(self, name: str, *values) -> None:
        if not self._blocked:
            self._signals[name].emit(*values)


Widget.properties = {"visible": True, "enabled": True, "toolTip": "", "minimumSize": None, "sizePolicy": None}


class QLabel(Widget):
    properties = {"text": "", "wordWrap": False, "textInteractionFlags": None, "openExternalLinks": False}


class QAbstractButton(Widget):
    signals = ("clicked", "toggled")
    properties = {"text": "", "checkable": False, "shortcut": ""}

    def __init__(self) -> None:
        super().__init__()
        self._checked = False

    @property
    def checked(self) -> bool:
        return self._checked

    @checked.setter
    def checked(self, checked: bool) -> None:
        if checked != self._checked:
            self._checked = checked
            self._emit("toggled", checked)

    def click(self) -> None:
        """As the user does it: nothing where it is disabled."""
        if self.enabled:
            if self.checkable:
                self.checked = not self.checked
            self._emit("clicked")


class QPushButton(QAbstractButton):
    pass


class QToolButton(QAbstractButton):
    pass


class QCheckBox(QAbstractButton):
    def __init__(self) -> None:
        super().__init__()
        self.checkable = True


class QComboBox(Widget):
    signals = ("activated", "currentIndexChanged")
    properties = {"sizeAdjustPolicy": None, "minimumContentsLength": 0}

    def __init__(self) -> None:
        super().__init__()
        self._items: list[tuple[str, object]] = []
        self._index = -1

    @property
    def currentIndex(self) -> int:
        return self._index

    @currentIndex.setter
    def currentIndex(self, index: int) -> None:
        if index != self._index:
            self._index = index
            self._emit("currentIndexChanged", index)

    @property
    def currentText(self) -> str:
        return self._items[self._index][0] if self._index >= 0 else ""

    def addItem(self, text: str, data=None) -> None:
        self._items.append((text, data))
        if self._index < 0:
            self.currentIndex = 0

    def clear(self) -> None:
        self._items = []
        self.currentIndex = -1

    def itemData(self, index: int):
        return self._items[index][1]

    def findData(self, data) -> int:
        return next((n for n, (_, other) in enumerate(self._items) if other == data), -1)

    def texts(self) -> list[str]:
        return [text for text, _ in self._items]

    def choose(self, index: int) -> None:
        """As the user does it."""
        self.currentIndex = index
        self._emit("activated", index)


class Number(Widget):
    signals = ("valueChanged",)
    properties = {"minimum": 0, "maximum": 99, "singleStep": 1, "decimals": 2, "suffix": "", "specialValueText": ""}

    def __init__(self) -> None:
        super().__init__()
        self._value = 0

    @property
    def value(self):
        return self._value

    @value.setter
    def value(self, value) -> None:
        value = min(max(value, self.minimum), self.maximum)
        if value != self._value:
            self._value = value
            self._emit("valueChanged", value)


class QSpinBox(Number):
    pass


class QDoubleSpinBox(Number):
    pass


class DoubleSlider(Widget):
    """ctkDoubleSlider"""

    signals = ("sliderPressed", "sliderReleased")


class ctkSliderWidget(Number):
    properties = {"pageStep": 1}

    def __init__(self) -> None:
        super().__init__()
        self._slider = DoubleSlider()


class ctkRangeWidget(Widget):
    signals = ("valuesChanged",)
    properties = {"minimum": 0, "maximum": 99, "singleStep": 1, "decimals": 2, "minimumValue": 0, "maximumValue": 99}

    def setValues(self, lowest: float, highest: float) -> None:
        self.minimumValue, self.maximumValue = lowest, highest
        self._emit("valuesChanged", lowest, highest)


class QProgressBar(Widget):
    properties = {"value": 0, "minimum": 0, "maximum": 100}


class QPlainTextEdit(Widget):
    properties = {"readOnly": False}

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[str] = []

    def setMaximumBlockCount(self, lines: int) -> None:
        pass

    def appendPlainText(self, text: str) -> None:
        self._lines.append(text)

    def toPlainText(self) -> str:
        return "\n".join(self._lines)


class Container(Widget):
    """Whatever holds other widgets."""

    signals = ("contentsCollapsed",)
    properties = {
        "text": "",
        "title": "",
        "collapsed": False,
        "checkable": False,
        "checked": True,
        "flat": False,
        "frameShape": None,
    }


class qMRMLSortFilterProxyModel(Widget):
    properties = {"hiddenNodeIDs": ()}


class qMRMLNodeComboBox(Widget):
    signals = ("currentNodeChanged",)
    properties = {
        "nodeTypes": (),
        "noneEnabled": False,
        "noneDisplay": "",
        "addEnabled": True,
        "removeEnabled": True,
        "renameEnabled": False,
    }

    def __init__(self) -> None:
        super().__init__()
        self._proxy = qMRMLSortFilterProxyModel()

    def sortFilterProxyModel(self) -> qMRMLSortFilterProxyModel:
        return self._proxy


class qMRMLTableView(Widget):
    def __init__(self) -> None:
        super().__init__()
        self._node = None

    def setMRMLTableNode(self, node) -> None:
        self._node = node

    def mrmlTableNode(self):
        return self._node

    def setFirstRowLocked(self, locked: bool) -> None:
        pass

    def resizeColumnsToContents(self) -> None:
        pass

    def verticalHeader(self) -> SimpleNamespace:
        return SimpleNamespace(hide=lambda: None)

    def horizontalHeader(self) -> SimpleNamespace:
        count = self._node.GetNumberOfColumns() if self._node is not None else 0
        return SimpleNamespace(
            count=lambda: count,
            setSectionResizeMode=lambda column, mode: None,
            setMinimumSectionSize=lambda pixels: None,
            setFont=lambda font: None,
        )

    @property
    def font(self) -> SimpleNamespace:
        return SimpleNamespace(pointSizeF=lambda: 10.0, setPointSizeF=lambda size: None)

    def setFont(self, font) -> None:
        pass


_KINDS = {kind.__name__: kind for kind in list(globals().values()) if isinstance(kind, type)}
_CONTAINERS = ("qMRMLWidget", "ctkCollapsibleButton", "ctkCollapsibleGroupBox", "QFrame", "QWidget")


def from_ui_file(path) -> SimpleNamespace:
    """All named widgets of a .ui file with their properties, as `slicer.util.childWidgetVariables` gives them."""
    made = {}
    for element in ElementTree.parse(path).iter("widget"):
        name, kind = element.get("name"), element.get("class")
        widget = Container() if kind in _CONTAINERS else _KINDS[kind]()
        for given in element.findall("property"):
            key = given.get("name")
            if key != "SlicerParameterName":
                setattr(widget, key, _value(given[0]))
        made[name] = widget
    return SimpleNamespace(**made)


def _value(element: ElementTree.Element):
    if element.tag in ("number", "double"):
        return float(element.text) if element.tag == "double" else int(element.text)
    if element.tag == "bool":
        return element.text == "true"
    return element.text or ""
