"""The numbers behind every figure: records in, frozen frames of arrays out.

Pure functions from a law, sweep, plan, schedule, ... to what a figure shows, so that a test can read back a
contour or a fan and compare it with the law. `hptransfer.drawing` paints them, `hptransfer.reporting` puts
them on a page; neither computes anything. A frame that a law cannot fill is None or empty, never invented.
"""
