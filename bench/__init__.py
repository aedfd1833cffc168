"""The benchmark: `make bench`. What runs, what is measured and how, is in bench/README.md."""
