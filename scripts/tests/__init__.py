"""Tests of the pure parts of scripts/compare: python3 -m unittest discover -s scripts -t scripts"""
