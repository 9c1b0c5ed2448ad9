"""NVIDIA GPUs through NVML: one thread for each device, and states where there is nothing to read.

nvml.py     the border: calls of nvidia-ml-py become values in base units, and errors of ours
worker.py   one device's thread: one call at a time, with a time limit
xids.py     the thread that waits for XID events
sampler.py  the sampler: driver and devices as states, processes by device
"""
