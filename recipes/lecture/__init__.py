"""The experiments of the lecture on regularisation, convolutional networks and transfer learning."""
