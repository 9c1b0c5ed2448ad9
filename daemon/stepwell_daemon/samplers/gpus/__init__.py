"""NVIDIA GPUs through NVML: one thread for each device, and states of unreadable devices.

nvml.py     the border: converts results of nvidia-ml-py to base units, and its errors to ours
worker.py   one device's thread: one call at a time, with a time limit xids.py     the thread that
waits for XID events sampler.py  the sampler: driver and devices as states, processes by device
"""
