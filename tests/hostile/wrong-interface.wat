;; A component with the right names and nothing behind them.
(component
  (instance $none)
  (export "hookwright:plugin/lifecycle@0.1.0" (instance $none))
  (export "hookwright:plugin/handler@0.1.0" (instance $none)))
