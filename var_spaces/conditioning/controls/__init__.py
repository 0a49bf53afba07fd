"""Kinds of control: what a picture is reduced to before it steers the drawing of another one."""
