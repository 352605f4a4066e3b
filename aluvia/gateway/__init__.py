"""
The gateway door: an authenticated forward proxy, and the control plane that its clients follow.
"""
