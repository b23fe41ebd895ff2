"""The architectures, one family a file.

A file begins with its paper's table, and goes down as the network does: builders, body, blocks, convolutions. The table of
its builders has a row for each variant: parameters as Keras counts them, of which moving statistics; the side of the
picture in pixels; and the tags of pretrained weights, with a star for what `zoo models NAME` lists. "imagenet" is
keras.applications', or comes with a Python package; "imagenet_torchvision" is torchvision's, "imagenet_timm_" timm's.
"""
