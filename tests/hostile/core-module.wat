;; A core module, left as it is: no component.
(module)
