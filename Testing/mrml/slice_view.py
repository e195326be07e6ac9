"""A slice view without the application, as qMRMLSliceView puts it together, drawn off the screen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

_DISPLAYABLE_MANAGERS = ("vtkMRMLColorLegendDisplayableManager",)


class SliceView:
    """One view.

    :param scene: vtkMRMLScene
    :param name: of the slice node
    :param size: (width, height) pixels
    """

    def __init__(self, scene, name: str, size: tuple[int, int] = (240, 240)) -> None:
        self._application = slicer.vtkMRMLApplicationLogic()
        self._application.SetMRMLScene(scene)
        self.logic = slicer.vtkMRMLSliceLogic()
        self.logic.SetMRMLApplicationLogic(self._application)
        self.logic.SetMRMLScene(scene)
        self.node = self.logic.AddSliceNode(name)
        logics = vtk.vtkCollection()
        logics.AddItem(self.logic)
        self._application.SetSliceLogics(logics)
        self._size = size
        self.node.SetDimensions(*size, 1)
        self._window = vtk.vtkRenderWindow()
        self._window.SetOffScreenRendering(1)
        self._window.SetMultiSamples(0)
        self._window.SetSize(*size)
        renderer = vtk.vtkRenderer()
        self._window.AddRenderer(renderer)
        self._interactor = vtk.vtkGenericRenderWindowInteractor()
        self._interactor.SetRenderWindow(self._window)
        self._mapper = vtk.vtkImageMapper()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        actor = vtk.vtkActor2D()
        actor.SetMapper(self._mapper)
        actor.GetProperty().SetDisplayLocationToBackground()
        renderer.AddViewProp(actor)
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        factory.SetMRMLApplicationLogic(self._application)
        for manager in _DISPLAYABLE_MANAGERS:
            if not factory.IsDisplayableManagerRegistered(manager):
                factory.RegisterDisplayableManager(manager)
        self._managers = factory.InstantiateDisplayableManagers(renderer)
        self._managers.SetMRMLDisplayableNode(self.node)

    def show(self, volume, slice_number: int) -> None:
        """Show a slice of a volume, with its columns and rows along the view's."""
        self.logic.GetSliceCompositeNode().SetBackgroundVolumeID(volume.GetID())
        self.logic.RotateSliceToLowestVolumeAxes()
        self.logic.FitSliceToAll(*self._size)
        matrix = vtk.vtkMatrix4x4()
        volume.GetIJKToRASMatrix(matrix)
        columns, rows, _slices = volume.GetImageData().GetDimensions()
        center = slicer.util.arrayFromVTKMatrix(matrix) @ [(columns - 1) / 2, (rows - 1) / 2, slice_number, 1]
        self.node.JumpSliceByCentering(*center[:3])
        self._mapper.SetInputConnection(self.logic.GetImageDataConnection())

    def png(self, path: Path) -> np.ndarray:
        """Draw the view into a PNG file.

        :returns: (height, width, 3) uint8 as read from the file, first row at the bottom
        """
        # What shows legends decides about them while the first picture is drawn.
        self._window.Render()
        self._window.Render()
        picture = vtk.vtkWindowToImageFilter()
        picture.SetInput(self._window)
        picture.ReadFrontBufferOff()
        writer = vtk.vtkPNGWriter()
        writer.SetFileName(str(path))
        writer.SetInputConnection(picture.GetOutputPort())
        writer.Write()
        reader = vtk.vtkPNGReader()
        reader.SetFileName(str(path))
        reader.Update()
        image = reader.GetOutput()
        width, height, _ = image.GetDimensions()
        return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)[..., :3]

    def close(self) -> None:
        """Let go of the scene, which must not be cleared before."""
        self._managers.SetMRMLDisplayableNode(None)
        self._mapper.RemoveAllInputs()
        self._application.SetSliceLogics(None)
        self.logic.SetMRMLScene(None)
        self._application.SetMRMLScene(None)
        self._window.Finalize()

    def voxels(self, volume) -> np.ndarray:
        """(height, width, 3) the voxel (column, row, slice) under the middle of each pixel, not rounded."""
        to_ras, to_ijk = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
        to_ras.DeepCopy(self.node.GetXYToRAS())
        volume.GetRASToIJKMatrix(to_ijk)
        matrix = slicer.util.arrayFromVTKMatrix(to_ijk) @ slicer.util.arrayFromVTKMatrix(to_ras)
        width, height = self._size
        x, y = np.meshgrid(np.arange(width), np.arange(height))
        places = np.stack([x, y, np.zeros_like(x), np.ones_like(x)], axis=-1)
        return (places @ matrix.T)[..., :3]
