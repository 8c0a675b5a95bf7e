;; A component that wants what nobody has.
(component
  (import "acme:vault/keys@1.0.0" (instance))
  (import "hookwright:plugin/kv@0.1.0" (instance))
  (instance $none)
  (export "hookwright:plugin/lifecycle@0.1.0" (instance $none))
  (export "hookwright:plugin/handler@0.1.0" (instance $none)))
