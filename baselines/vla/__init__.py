"""The reference VLA of oodbench: pretrained, aligned and fine-tuned on nothing but what oodbench renders."""
