"""The theme of the page: calm paper and ink, one green, light and dark, fonts that come along."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from gradio.themes.utils import fonts

STYLES = Path(__file__).with_name("css")
ICON = Path(__file__).with_name("icon.svg")
FONT, MONO = "IBM Plex Sans", "IBM Plex Mono"
WEIGHTS = (400, 700)  # the semi-bold files that come with gradio hold only some letters

GREEN = gr.themes.Color(
    c50="#eef6f4",
    c100="#d8ebe6",
    c200="#b3d8cf",
    c300="#82bfb2",
    c400="#52a293",
    c500="#2f8577",
    c600="#1c6b5f",
    c700="#17574e",
    c800="#134640",
    c900="#0f3833",
    c950="#082421",
    name="green",
)
STONE = gr.themes.Color(
    c50="#faf9f6",
    c100="#f3f1ec",
    c200="#e6e3db",
    c300="#d2cec4",
    c400="#a5a197",
    c500="#767269",
    c600="#57544d",
    c700="#403e39",
    c800="#292825",
    c900="#1d1c1a",
    c950="#141312",
    name="stone",
)


def css() -> str:
    """The style sheets of the page in the order of their names."""
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(STYLES.glob("*.css")))


def theme() -> gr.themes.Base:
    """Colours with a contrast of at least 4.5 to 1 for text, in light and in dark."""
    return gr.themes.Base(
        primary_hue=GREEN,
        secondary_hue=GREEN,
        neutral_hue=STONE,
        radius_size=gr.themes.sizes.radius_md,
        spacing_size=gr.themes.sizes.spacing_md,
        font=[
            fonts.LocalFont("IBM Plex Sans", WEIGHTS),
            "ui-sans-serif",
            "system-ui",
            "sans-serif",
        ],
        font_mono=[fonts.LocalFont(MONO, WEIGHTS), "ui-monospace", "monospace"],
    ).set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        body_text_color="*neutral_900",
        body_text_color_dark="*neutral_100",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        background_fill_primary="white",
        background_fill_primary_dark="*neutral_900",
        background_fill_secondary="*neutral_100",
        background_fill_secondary_dark="*neutral_800",
        border_color_primary="*neutral_200",
        border_color_primary_dark="*neutral_700",
        border_color_accent="*primary_300",
        color_accent_soft="*primary_50",
        color_accent_soft_dark="*primary_950",
        link_text_color="*primary_600",
        link_text_color_dark="*primary_300",
        block_background_fill="white",
        block_background_fill_dark="*neutral_900",
        block_border_width="0px",
        block_border_width_dark="0px",
        block_shadow="none",
        block_shadow_dark="none",
        block_label_text_color="*neutral_600",
        block_label_text_color_dark="*neutral_400",
        block_title_text_weight="500",
        block_title_text_color="*neutral_800",
        block_title_text_color_dark="*neutral_200",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_400",
        input_background_fill="*neutral_50",
        input_background_fill_dark="*neutral_800",
        input_border_color="*neutral_300",
        input_border_color_dark="*neutral_700",
        input_border_width="1px",
        input_border_color_focus="*primary_500",
        input_border_color_focus_dark="*primary_400",
        input_shadow_focus="0 0 0 3px *primary_100",
        input_shadow_focus_dark="0 0 0 3px *primary_900",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_dark="*primary_300",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_hover_dark="*primary_200",
        button_primary_text_color="white",
        button_primary_text_color_dark="*primary_950",
        button_primary_border_color="transparent",
        button_primary_border_color_dark="transparent",
        button_secondary_background_fill="white",
        button_secondary_background_fill_dark="*neutral_800",
        button_secondary_background_fill_hover="*neutral_100",
        button_secondary_background_fill_hover_dark="*neutral_700",
        button_secondary_text_color="*neutral_800",
        button_secondary_text_color_dark="*neutral_100",
        button_secondary_border_color="*neutral_300",
        button_secondary_border_color_dark="*neutral_700",
        button_border_width="1px",
        button_cancel_background_fill="white",
        button_cancel_background_fill_dark="*neutral_800",
        button_cancel_background_fill_hover="*neutral_100",
        button_cancel_background_fill_hover_dark="*neutral_700",
        button_cancel_text_color="#a33327",
        button_cancel_text_color_dark="#f0a79c",
        button_cancel_border_color="*neutral_300",
        button_cancel_border_color_dark="*neutral_700",
        button_transition="background-color 0.15s ease",
        slider_color="*primary_600",
        slider_color_dark="*primary_300",
        checkbox_background_color_selected="*primary_600",
        checkbox_border_color_selected="*primary_600",
    )
