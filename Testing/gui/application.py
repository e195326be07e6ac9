"""A stand-in for the application around the panel: layout manager, settings, timers, on a real MRML scene."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Annotated, get_args, get_origin

from gui.widgets import Signal


class QTimer:
    """Never fires by itself; a test calls `fire`."""

    def __init__(self) -> None:
        self.timeout = Signal()
        self._active = False

    def setSingleShot(self, single: bool) -> None:
        pass

    def setInterval(self, milliseconds: int) -> None:
        pass

    def start(self) -> None:
        self._active = True

    def stop(self) -> None:
        self._active = False

    def isActive(self) -> bool:
        return self._active

    @staticmethod
    def singleShot(milliseconds: int, slot) -> None:
        """Never fires."""

    def fire(self) -> None:
        self._active = False
        self.timeout.emit()


class Settings:
    """QSettings"""

    def __init__(self) -> None:
        self._values: dict[str, object] = {}

    def value(self, key: str, default=None):
        return self._values.get(key, default)

    def setValue(self, key: str, value) -> None:
        self._values[key] = value


class SliceLogic:
    """vtkMRMLSliceLogic without a view."""

    def FitSliceToAll(self) -> None:
        pass

    def SnapSliceOffsetToIJK(self) -> None:
        pass


class SliceWidget:
    """qMRMLSliceWidget"""

    def __init__(self, sliceNode, compositeNode) -> None:
        self._sliceNode, self._compositeNode = sliceNode, compositeNode

    def mrmlSliceNode(self):
        return self._sliceNode

    def mrmlSliceCompositeNode(self):
        return self._compositeNode

    def sliceLogic(self) -> SliceLogic:
        return SliceLogic()


class LayoutManager:
    """qSlicerLayoutManager: makes the nodes of the views when a layout is shown."""

    def __init__(self, scene, layoutNode, viewNames) -> None:
        self.layout = 3
        self._scene, self._layoutNode, self._viewNames = scene, layoutNode, viewNames
        self._widgets: dict[str, SliceWidget] = {}
        self.plotViewCount = 0
        self._changed = Signal()

    def connect(self, signature: str, slot) -> None:
        assert signature == "layoutChanged(int)"
        self._changed.connect(slot)

    def layoutLogic(self):
        return SimpleNamespace(GetLayoutNode=lambda: self._layoutNode)

    def setLayout(self, layout: int) -> None:
        self.layout = layout
        for name in self._viewNames:
            if name not in self._widgets:
                sliceNode = self._scene.AddNewNodeByClass("vtkMRMLSliceNode", name)
                self._widgets[name] = SliceWidget(sliceNode, self._scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode"))
        self._changed.emit(layout)

    def sliceWidget(self, name: str) -> SliceWidget | None:
        return self._widgets.get(name)


class Observer:
    """VTKObservationMixin, as far as the panel uses it."""

    def __init__(self) -> None:
        self._observed: list[tuple] = []
        self.parent = SimpleNamespace(isEntered=True)
        self._tags: dict[tuple, int] = {}

    def hasObserver(self, node, event, callback) -> bool:
        return (node, event, callback) in self._observed

    def addObserver(self, node, event, callback, priority: float = 0.0) -> None:
        self._observed.append((node, event, callback))
        self._tags[(node, event, callback)] = node.AddObserver(event, callback)

    def removeObserver(self, node, event, callback) -> None:
        self._observed.remove((node, event, callback))
        node.RemoveObserver(self._tags.pop((node, event, callback)))


def parameter_node_wrapper() -> ModuleType:
    """`slicer.parameterNodeWrapper`: attributes with defaults and checks, kept in Python."""
    module = ModuleType("slicer.parameterNodeWrapper")

    class WithinRange:
        def __init__(self, minimum, maximum) -> None:
            self.minimum, self.maximum = minimum, maximum

    class Minimum:
        def __init__(self, minimum) -> None:
            self.minimum = minimum

    def wrapper(cls):
        kinds = dict(cls.__annotations__)
        defaults = {name: getattr(cls, name, None) for name in kinds}

        class Wrapped:
            def __init__(self, parameterNode) -> None:
                self.__dict__.update(defaults, parameterNode=parameterNode, onModified=lambda: None)

            def __setattr__(self, name: str, value) -> None:
                if name == "onModified":
                    self.__dict__[name] = value
                    return
                kind = kinds[name]
                limits = get_args(kind)[1:] if get_origin(kind) is Annotated else ()
                plain = get_args(kind)[0] if limits else kind
                assert value is None or isinstance(value, plain) or (plain is float and isinstance(value, int)), name
                for limit in limits:
                    assert limit.minimum <= value <= getattr(limit, "maximum", value), name
                if self.__dict__[name] is not value and self.__dict__[name] != value:
                    self.__dict__[name] = value
                    self.onModified()

        return Wrapped

    module.WithinRange, module.Minimum, module.parameterNodeWrapper = WithinRange, Minimum, wrapper
    return module
