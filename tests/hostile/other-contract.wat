;; A component for a contract of the future.
(component
  (instance $none)
  (export "hookwright:plugin/lifecycle@0.9.0" (instance $none))
  (export "hookwright:plugin/handler@0.9.0" (instance $none)))
