"""The rows of the operator table, one module for each family; `tinyinfer.registry` joins them."""
