"""From a graph to a static plan of kernel calls, and the engines that run it."""
