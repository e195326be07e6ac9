"""TCIA QIN-BRAIN-DSC-MRI, the paper's data set, for whoever has downloaded it: from its DICOM folders to cases.

Schmainda, Prah, Connelly, Rand: Glioma DSC-MRI Perfusion Data with Standard Imaging and ROIs. The Cancer Imaging
Archive, 2016, doi 10.7937/K9/TCIA.2016.5DI84Js8.
"""
