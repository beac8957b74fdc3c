;;; What a user of Emacs does, and what is seen, as JSON for the test.  -*- lexical-binding: t -*-

(require 'json)
(require 'cl-lib)
(require 'package)
(package-initialize) ; eglot is a package before Emacs 29
(require 'eglot)
(require 'flymake)

(defun memlens-test-wait (what condition)
  "Wait until CONDITION answers non-nil, and return that; WHAT it is, for the message."
  (let ((deadline (+ (float-time) 60)) (value nil))
    (while (not (setq value (funcall condition)))
      (when (> (float-time) deadline)
        (princ (memlens-test-events))
        (error "Waited in vain for %s" what))
      (accept-process-output nil 0.1))
    value))

(defun memlens-test-events ()
  "Return what went over the wire, as far as eglot has kept it."
  (let ((server (eglot-current-server)))
    (if server
        (with-current-buffer (jsonrpc-events-buffer server) (buffer-string))
      "There is no server.")))

(defun memlens-test-seen (diagnostic)
  "Return DIAGNOSTIC of flymake as what the test compares."
  `((line . ,(line-number-at-pos (flymake-diagnostic-beg diagnostic)))
    (marked . ,(buffer-substring-no-properties
                (flymake-diagnostic-beg diagnostic) (flymake-diagnostic-end diagnostic)))
    (type . ,(format "%s" (flymake-diagnostic-type diagnostic)))
    (message . ,(flymake-diagnostic-text diagnostic))))

(setq eglot-sync-connect 30
      python-indent-guess-indent-offset-verbose nil
      ;; There is no terminal to ask in.
      eglot-confirm-server-initiated-edits nil)
(find-file "tests/test_catalog.py")
(eglot-ensure)
(run-hooks 'post-command-hook) ; when eglot-ensure connects
(memlens-test-wait "the server" #'eglot-current-server)

(re-search-forward "def test_thumbnails_stay_small")
(call-interactively #'memlens-run-test)
(let ((seen (mapcar #'memlens-test-seen
                    (memlens-test-wait
                     "diagnostics" (lambda () (flymake-start) (flymake-diagnostics))))))
  (with-temp-file (getenv "MEMLENS_TEST_OUTPUT")
    (insert (json-encode (vconcat seen)))))
(eglot-shutdown (eglot-current-server))
(kill-emacs 0)
