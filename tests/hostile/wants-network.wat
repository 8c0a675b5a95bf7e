;; A component that wants a socket.
(component
  (import "wasi:sockets/tcp@0.2.0" (instance))
  (instance $none)
  (export "hookwright:plugin/lifecycle@0.1.0" (instance $none))
  (export "hookwright:plugin/handler@0.1.0" (instance $none)))
