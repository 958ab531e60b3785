// The function app: Flex Consumption, Python, identity everywhere. Reachable by Event Grid and by allowedIpAddresses only.
param location string
param tags object
param name string

@description('Resource id and client id of the app\'s identity.')
param identityId string
param identityClientId string
param hostStorageName string
param packageContainerUrl string
param insightsConnectionString string

@description('Most instances for each function; every non-HTTP function scales on its own.')
param maximumInstanceCount int

@description('Memory of an instance; the smallest that Flex Consumption offers is 512.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

@description('IPv4 addresses or CIDR ranges that may open the page and ask for status. None: only Event Grid reaches the app.')
param allowedIpAddresses array

@description('Subnet that the app sends from; empty: none.')
param subnetId string

@description('Darkroom\'s own settings: each is declared in shared/app_settings.py or shared/worker_settings.py.')
param settings object

var eventGrid = [
  {
    name: 'event-grid'
    tag: 'ServiceTag'
    ipAddress: 'AzureEventGrid'
    action: 'Allow'
    priority: 100
  }
]
var operators = [for (address, i) in allowedIpAddresses: {
  name: 'operators-${i}'
  ipAddress: contains(address, '/') ? address : '${address}/32'
  action: 'Allow'
  priority: 200 + i
}]

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  name: 'plan-${name}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
  }
}

resource app 'Microsoft.Web/sites@2024-04-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'app' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    publicNetworkAccess: 'Enabled' // Event Grid calls from outside; the rules below let nobody else in
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
      http20Enabled: true
      remoteDebuggingEnabled: false
      ipSecurityRestrictionsDefaultAction: 'Deny'
      ipSecurityRestrictions: concat(eventGrid, operators)
      // The deployment endpoint takes Entra ID tokens only (basic credentials are off, below).
      scmIpSecurityRestrictionsUseMain: false
      scmIpSecurityRestrictionsDefaultAction: 'Allow'
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packageContainerUrl
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      scaleAndConcurrency: {
        maximumInstanceCount: maximumInstanceCount
        instanceMemoryMB: instanceMemoryMB
      }
      runtime: {
        name: 'python'
        version: '3.11' // what the tests run on
      }
    }
  }

  resource appSettings 'config' = {
    name: 'appsettings'
    properties: union(settings, {
      AZURE_CLIENT_ID: identityClientId
      AzureWebJobsStorage__accountName: hostStorageName
      AzureWebJobsStorage__credential: 'managedidentity'
      AzureWebJobsStorage__clientId: identityClientId
      APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnectionString
      APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
    })
  }

  resource noBasicFtp 'basicPublishingCredentialsPolicies' = {
    name: 'ftp'
    properties: {
      allow: false
    }
  }

  resource noBasicScm 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: {
      allow: false
    }
  }
}

output name string = app.name
output url string = 'https://${app.properties.defaultHostName}'
