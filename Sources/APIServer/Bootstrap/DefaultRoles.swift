import KubernetesAPI

/// The roles and bindings that every cluster begins with: those of Kubernetes v1.33, as data.
///
/// A line that begins at the margin begins an object; indented lines below it are its rules: verbs, group,
/// resources, and names in brackets, or `url` and paths. `core` is the group without a name; `read` is
/// get,list,watch, `write` is create,delete,deletecollection,patch,update; `events` is a rule by itself.
/// `+view` says that the role's rules become part of `view`, `of edit` that its own come from others.
/// A `controller` is a cluster role `system:controller:NAME` and a binding to the service account of that name.
package enum DefaultRoles {
    static let clusterRoles = """
        role cluster-admin
          * * *
          * url *
        role admin of admin
        role edit of edit +admin
        role view of view +edit
        role system:aggregate-to-admin +admin
          create authorization.k8s.io localsubjectaccessreviews
          read,write rbac.authorization.k8s.io rolebindings,roles
        role system:aggregate-to-edit +edit
          read core pods/attach,pods/exec,pods/portforward,pods/proxy,secrets,services/proxy
          impersonate core serviceaccounts
          write core pods,pods/attach,pods/exec,pods/portforward,pods/proxy
          create core pods/eviction
          write core configmaps,events,persistentvolumeclaims,replicationcontrollers,replicationcontrollers/scale,secrets,serviceaccounts,services,services/proxy
          create core serviceaccounts/token
          write apps daemonsets,deployments,deployments/rollback,deployments/scale,replicasets,replicasets/scale,statefulsets,statefulsets/scale
          write autoscaling horizontalpodautoscalers
          write batch cronjobs,jobs
          write extensions daemonsets,deployments,deployments/rollback,deployments/scale,ingresses,networkpolicies,replicasets,replicasets/scale,replicationcontrollers/scale
          write policy poddisruptionbudgets
          write networking.k8s.io ingresses,networkpolicies
          read,write coordination.k8s.io leases
        role system:aggregate-to-view +view
          read core configmaps,endpoints,persistentvolumeclaims,persistentvolumeclaims/status,pods,replicationcontrollers,replicationcontrollers/scale,serviceaccounts,services,services/status
          read core bindings,events,limitranges,namespaces/status,pods/log,pods/status,replicationcontrollers/status,resourcequotas,resourcequotas/status
          read core namespaces
          read discovery.k8s.io endpointslices
          read apps controllerrevisions,daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,replicasets,replicasets/scale,replicasets/status,statefulsets,statefulsets/scale,statefulsets/status
          read autoscaling horizontalpodautoscalers,horizontalpodautoscalers/status
          read batch cronjobs,cronjobs/status,jobs,jobs/status
          read extensions daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,ingresses,ingresses/status,networkpolicies,replicasets,replicasets/scale,replicasets/status,replicationcontrollers/scale
          read policy poddisruptionbudgets,poddisruptionbudgets/status
          read networking.k8s.io ingresses,ingresses/status,networkpolicies
        role system:auth-delegator
          create authentication.k8s.io tokenreviews
          create authorization.k8s.io subjectaccessreviews
        role system:basic-user
          create authorization.k8s.io selfsubjectaccessreviews,selfsubjectrulesreviews
          create authentication.k8s.io selfsubjectreviews
        role system:certificates.k8s.io:certificatesigningrequests:nodeclient
          create certificates.k8s.io certificatesigningrequests/nodeclient
        role system:certificates.k8s.io:certificatesigningrequests:selfnodeclient
          create certificates.k8s.io certificatesigningrequests/selfnodeclient
        role system:certificates.k8s.io:kube-apiserver-client-approver
          approve certificates.k8s.io signers [kubernetes.io/kube-apiserver-client]
        role system:certificates.k8s.io:kube-apiserver-client-kubelet-approver
          approve certificates.k8s.io signers [kubernetes.io/kube-apiserver-client-kubelet]
        role system:certificates.k8s.io:kubelet-serving-approver
          approve certificates.k8s.io signers [kubernetes.io/kubelet-serving]
        role system:certificates.k8s.io:legacy-unknown-approver
          approve certificates.k8s.io signers [kubernetes.io/legacy-unknown]
        role system:discovery
          get url /api,/api/*,/apis,/apis/*,/healthz,/livez,/openapi,/openapi/*,/readyz,/version,/version/
        role system:heapster
          read core events,namespaces,nodes,pods
          read extensions deployments
        role system:kube-aggregator
          read core endpoints,services
        role system:kube-controller-manager
          events
          create coordination.k8s.io leases
          get,update coordination.k8s.io leases [kube-controller-manager]
          create core secrets,serviceaccounts
          delete core secrets
          get core configmaps,namespaces,secrets,serviceaccounts
          update core secrets,serviceaccounts
          create authentication.k8s.io tokenreviews
          create authorization.k8s.io subjectaccessreviews
          list,watch * *
          create core serviceaccounts/token
        role system:kube-dns
          list,watch core endpoints,services
        role system:kube-scheduler
          events
          create coordination.k8s.io leases
          get,update coordination.k8s.io leases [kube-scheduler]
          read core nodes
          delete,get,list,watch core pods
          create core bindings,pods/binding
          patch,update core pods/status
          read core replicationcontrollers,services
          read apps,extensions replicasets
          read apps statefulsets
          read policy poddisruptionbudgets
          read core persistentvolumeclaims,persistentvolumes
          create authentication.k8s.io tokenreviews
          create authorization.k8s.io subjectaccessreviews
          read storage.k8s.io csinodes
          read core namespaces
          read storage.k8s.io csidrivers
          read storage.k8s.io csistoragecapacities
        role system:kubelet-api-admin
          read core nodes
          proxy core nodes
          * core nodes/log,nodes/metrics,nodes/proxy,nodes/stats
          * core nodes/configz,nodes/healthz,nodes/pods
        role system:monitoring
          get url /healthz,/healthz/*,/livez,/livez/*,/metrics,/metrics/slis,/readyz,/readyz/*
        role system:node
          create authentication.k8s.io tokenreviews
          create authorization.k8s.io localsubjectaccessreviews,subjectaccessreviews
          read core services
          create,get,list,watch core nodes
          patch,update core nodes/status
          patch,update core nodes
          events
          read core pods
          create,delete core pods
          patch,update core pods/status
          create core pods/eviction
          read core configmaps,secrets
          get core persistentvolumeclaims,persistentvolumes
          get core endpoints
          create,get,list,watch certificates.k8s.io certificatesigningrequests
          create,delete,get,patch,update coordination.k8s.io leases
          get storage.k8s.io volumeattachments
          create core serviceaccounts/token
          get,patch,update core persistentvolumeclaims/status
          read storage.k8s.io csidrivers
          create,delete,get,patch,update storage.k8s.io csinodes
          read node.k8s.io runtimeclasses
        role system:node-bootstrapper
          create,get,list,watch certificates.k8s.io certificatesigningrequests
        role system:node-problem-detector
          get core nodes
          patch core nodes/status
          events
        role system:node-proxier
          list,watch core endpoints,services
          read core nodes
          events
          list,watch discovery.k8s.io endpointslices
          list,watch networking.k8s.io servicecidrs
        role system:persistent-volume-provisioner
          create,delete,get,list,watch core persistentvolumes
          get,list,update,watch core persistentvolumeclaims
          read storage.k8s.io storageclasses
          watch core events
          events
        role system:public-info-viewer
          get url /healthz,/livez,/readyz,/version,/version/
        role system:service-account-issuer-discovery
          get url /.well-known/openid-configuration,/openid/v1/jwks
        role system:volume-scheduler
          get,list,patch,update,watch core persistentvolumes
          read storage.k8s.io storageclasses
          get,list,patch,update,watch core persistentvolumeclaims
        """

    static let clusterRoleBindings = """
        bind cluster-admin Group:system:masters
        bind system:monitoring Group:system:monitoring
        bind system:discovery Group:system:authenticated
        bind system:basic-user Group:system:authenticated
        bind system:public-info-viewer Group:system:authenticated Group:system:unauthenticated
        bind system:node-proxier User:system:kube-proxy
        bind system:kube-controller-manager User:system:kube-controller-manager
        bind system:kube-dns ServiceAccount:kube-dns
        bind system:kube-scheduler User:system:kube-scheduler
        bind system:volume-scheduler User:system:kube-scheduler
        bind system:node
        bind system:service-account-issuer-discovery Group:system:serviceaccounts
        """

    static let namespaced = """
        role extension-apiserver-authentication-reader in kube-system
          read core configmaps [extension-apiserver-authentication]
        role system:controller:bootstrap-signer in kube-system
          read core secrets
        role system:controller:cloud-provider in kube-system
          create,get,list,watch core configmaps
        role system:controller:token-cleaner in kube-system
          delete,get,list,watch core secrets
          events
        role system::leader-locking-kube-controller-manager in kube-system
          watch core configmaps
          get,update core configmaps [kube-controller-manager]
        role system::leader-locking-kube-scheduler in kube-system
          watch core configmaps
          get,update core configmaps [kube-scheduler]
        role system:controller:bootstrap-signer in kube-public
          read core configmaps
          update core configmaps [cluster-info]
          events
        bind extension-apiserver-authentication-reader in kube-system as system::extension-apiserver-authentication-reader User:system:kube-controller-manager User:system:kube-scheduler
        bind system::leader-locking-kube-controller-manager in kube-system User:system:kube-controller-manager ServiceAccount:kube-controller-manager
        bind system::leader-locking-kube-scheduler in kube-system User:system:kube-scheduler ServiceAccount:kube-scheduler
        bind system:controller:bootstrap-signer in kube-system ServiceAccount:bootstrap-signer
        bind system:controller:cloud-provider in kube-system ServiceAccount:cloud-provider
        bind system:controller:token-cleaner in kube-system ServiceAccount:token-cleaner
        bind system:controller:bootstrap-signer in kube-public ServiceAccount:bootstrap-signer
        """

    /// Beyond upstream's: nodes may watch how far the data planes of others are, which these write on their Leases.
    /// The node authorizer lets an agent read its own Lease only, here as there.
    static let own = """
        role swiftlet:data-plane-revisions in kube-node-lease
          read coordination.k8s.io leases
        bind swiftlet:data-plane-revisions in kube-node-lease Group:system:nodes
        """

    static let controllers = """
        controller attachdetach-controller
          list,watch core persistentvolumeclaims,persistentvolumes
          read core nodes
          patch,update core nodes/status
          list,watch core pods
          events
          create,delete,get,list,watch storage.k8s.io volumeattachments
          read storage.k8s.io csidrivers
          read storage.k8s.io csinodes
        controller clusterrole-aggregation-controller
          escalate,get,list,patch,update,watch rbac.authorization.k8s.io clusterroles
        controller cronjob-controller
          get,list,update,watch batch cronjobs
          create,delete,get,list,patch,update,watch batch jobs
          update batch cronjobs/status
          update batch cronjobs/finalizers
          delete,list core pods
          events
        controller daemon-set-controller
          read apps,extensions daemonsets
          update apps,extensions daemonsets/status
          update apps,extensions daemonsets/finalizers
          list,watch core nodes
          create,delete,list,patch,watch core pods
          create core pods/binding
          create,delete,get,list,patch,update,watch apps controllerrevisions
          events
        controller deployment-controller
          get,list,update,watch apps,extensions deployments
          update apps,extensions deployments/status
          update apps,extensions deployments/finalizers
          create,delete,get,list,patch,update,watch apps,extensions replicasets
          get,list,update,watch core pods
          events
        controller disruption-controller
          read apps,extensions deployments
          read apps,extensions replicasets
          read core replicationcontrollers
          read policy poddisruptionbudgets
          read apps statefulsets
          update policy poddisruptionbudgets/status
          patch,update core pods/status
          get * */scale
          events
        controller endpoint-controller
          read core pods,services
          create,delete,get,list,update core endpoints
          create core endpoints/restricted
          events
        controller endpointslice-controller
          read core nodes,pods,services
          update core services/finalizers
          create,delete,get,list,update discovery.k8s.io endpointslices
          events
        controller endpointslicemirroring-controller
          read core endpoints,services
          update core services/finalizers
          update core endpoints/finalizers
          create,delete,get,list,update discovery.k8s.io endpointslices
          events
        controller expand-controller
          get,list,patch,update,watch core persistentvolumes
          patch,update core persistentvolumeclaims/status
          read core persistentvolumeclaims
          read storage.k8s.io storageclasses
          get core endpoints,services
          get core secrets
          events
        controller ephemeral-volume-controller
          read core pods
          update core pods/finalizers
          create,get,list,watch core persistentvolumeclaims
          events
        controller generic-garbage-collector
          delete,get,list,patch,update,watch * *
          events
        controller horizontal-pod-autoscaler
          read autoscaling horizontalpodautoscalers
          update autoscaling horizontalpodautoscalers/status
          get,update * */scale
          list core pods
          list metrics.k8s.io pods
          get,list custom.metrics.k8s.io *
          get,list external.metrics.k8s.io *
          events
        controller job-controller
          get,list,patch,update,watch batch jobs
          update batch jobs/status
          update batch jobs/finalizers
          create,delete,list,patch,watch core pods
          events
        controller namespace-controller
          delete,get,list,watch core namespaces
          update core namespaces/finalize,namespaces/status
          delete,deletecollection,get,list * *
        controller node-controller
          delete,get,list,patch,update core nodes
          patch,update core nodes/status
          patch,update core pods/status
          delete,get,list core pods
          events
        controller persistent-volume-binder
          create,delete,get,list,update,watch core persistentvolumes
          update core persistentvolumes/status
          get,list,update,watch core persistentvolumeclaims
          update core persistentvolumeclaims/status
          create,delete,get,list,watch core pods
          read storage.k8s.io storageclasses
          create,delete,get,update core endpoints
          create,delete,get core services
          get core secrets
          get,list core nodes
          watch core events
          events
        controller pod-garbage-collector
          delete,list,watch core pods
          get,list core nodes
          patch core pods/status
        controller replicaset-controller
          get,list,update,watch apps,extensions replicasets
          update apps,extensions replicasets/status
          update apps,extensions replicasets/finalizers
          create,delete,list,patch,watch core pods
          events
        controller replication-controller
          get,list,update,watch core replicationcontrollers
          update core replicationcontrollers/status
          update core replicationcontrollers/finalizers
          create,delete,list,patch,watch core pods
          events
        controller resourcequota-controller
          list,watch * *
          update core resourcequotas/status
          events
        controller route-controller
          list,watch core nodes
          patch core nodes/status
          events
        controller service-account-controller
          create core serviceaccounts
          events
        controller service-controller
          read core services
          patch,update core services/status
          list,watch core nodes
          events
        controller service-cidrs-controller
          get,list,patch,update,watch networking.k8s.io servicecidrs
          patch,update networking.k8s.io servicecidrs/finalizers
          patch,update networking.k8s.io servicecidrs/status
          read networking.k8s.io ipaddresses
          events
        controller statefulset-controller
          list,watch core pods
          read apps statefulsets
          update apps statefulsets/status
          update apps statefulsets/finalizers
          create,delete,get,patch,update core pods
          create,delete,get,list,patch,update,watch apps controllerrevisions
          create,get core persistentvolumeclaims
          events
          delete,update core persistentvolumeclaims
        controller ttl-controller
          list,patch,update,watch core nodes
          events
        controller certificate-controller
          delete,get,list,watch certificates.k8s.io certificatesigningrequests
          update certificates.k8s.io certificatesigningrequests/approval,certificatesigningrequests/status
          approve certificates.k8s.io signers [kubernetes.io/kube-apiserver-client-kubelet]
          sign certificates.k8s.io signers [kubernetes.io/kube-apiserver-client,kubernetes.io/kube-apiserver-client-kubelet,kubernetes.io/kubelet-serving,kubernetes.io/legacy-unknown]
          create authorization.k8s.io subjectaccessreviews
          events
        controller pvc-protection-controller
          get,list,update,watch core persistentvolumeclaims
          read core pods
          events
        controller pv-protection-controller
          get,list,update,watch core persistentvolumes
          events
        controller ttl-after-finished-controller
          delete,get,list,watch batch jobs
          events
        controller root-ca-cert-publisher
          create,update core configmaps
          events
        controller selinux-warning-controller
          read core persistentvolumes
          read core persistentvolumeclaims
          read core pods
          read storage.k8s.io csidrivers
          events
        controller validatingadmissionpolicy-status-controller
          read admissionregistration.k8s.io validatingadmissionpolicies
          get,patch,update admissionregistration.k8s.io validatingadmissionpolicies/status
          events
        controller legacy-service-account-token-cleaner
          get core configmaps [kube-apiserver-legacy-service-account-token-tracking]
          delete,patch core secrets
        """

    /// What nodes may do beyond what concerns their own pods (`system:node`).
    static let node =
        DefaultPolicy.standard.clusterRoles.first { $0.metadata.name == "system:node" }?.rules ?? []
}
